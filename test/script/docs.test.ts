import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RESERVED_EXPORTS } from '../../src/protocols/module.ts';
import { render_faults } from '../../src/script/fault.ts';
import { parse_script } from '../../src/script/parse.ts';
import { MAX_ACTIONS, RANGES, SCRIPT_SCHEMA } from '../../src/script/schema.ts';

const DOCS = readFileSync(new URL('../../docs/script.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...DOCS.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) => text!);

describe('docs/script.md', () => {
  it('has an example that loads', () => {
    expect(parse_script(blocks('yaml')[0]!, 'a.yml')).toHaveProperty('script.actions.length', 2);
    expect(parse_script(`protocol: p\n${blocks('yaml')[1]!}`, 'a.yml')).toHaveProperty('script.actions.length', 2);
  });

  it('shows what a bad script is really answered with', () => {
    const text = blocks('yaml')[2]!;
    const result = parse_script(text, 'heartbeat.yml');
    expect('faults' in result && render_faults(result.faults, text, false)).toBe(blocks('text')[0]!.trimEnd());
  });

  it('names every directive with its limits and default', () => {
    const row = (name: string): string => DOCS.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
    for (const name of Object.keys(SCRIPT_SCHEMA.properties)) expect(row(name), name).toContain('| required |');
    for (const name of SCRIPT_SCHEMA.properties.actions.items.required)
      expect(row(name), name).toContain('| required |');
    for (const [name, rule] of Object.entries(RANGES))
      expect(row(name), name).toMatch(new RegExp(`\\| \`${rule.default}\` \\|$`));
    for (const name of ['rounds', 'sleep_between_rounds'] as const)
      expect(row(name)).toContain(`0 to ${RANGES[name].max}`);
    expect(row('actions')).toContain(`1 to ${MAX_ACTIONS}`);
    for (const name of RESERVED_EXPORTS) expect(row('command')).toContain(`\`${name}\``);
  });
});
