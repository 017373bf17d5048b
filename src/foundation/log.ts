/** The log: pino, one JSON object a line, or a readable line on a terminal. Never used on the path of messages. */
import { pino, type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { escape_lines } from './escape.ts';
import type { Output } from './output.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** A log to `out` (stderr, since stdout belongs to the state lines) from `level` upwards. */
export function make_log(level: LogLevel, out: Output, colour: boolean): Log {
  const pretty = prettyFactory({
    colorize: colour,
    translateTime: 'SYS:HH:MM:ss.l',
    // text of a server or module must not move the reader's cursor
    messageFormat: (entry, key) => escape_lines(String(entry[key])),
  });
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => out.write(out.is_tty ? pretty(line) : line) },
  );
}
