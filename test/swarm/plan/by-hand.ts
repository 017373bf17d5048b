import type { Command } from '../../../src/grammar/command.ts';
import { parse_line } from '../../../src/grammar/table.ts';
import { command_text, type NaiveCommand } from './naive-load.ts';

/** What the console makes of it. */
export function command_of(what: NaiveCommand | string): Command {
  const text = typeof what === 'string' ? what : command_text(what);
  const parsed = parse_line(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return parsed.request as Command;
}
