import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RESERVED_EXPORTS } from '../../src/protocols/module.ts';
import { render_faults } from '../../src/script/fault.ts';
import { parse_script } from '../../src/script/parse.ts';
import {
  DEFAULT_SIGMA,
  MAX_ACTIONS,
  MAX_ITERATIONS,
  MAX_LOOPS,
  MAX_SIGMA,
  RANGES,
  SCRIPT_SCHEMA,
} from '../../src/script/schema.ts';
import { MAX_GROUPS, MAX_SHARE } from '../../src/script/types.ts';

const DOCS = readFileSync(new URL('../../docs/script.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...DOCS.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) => text!);

describe('docs/script.md', () => {
  it('has examples that load', () => {
    const [first, groups, loops, merged] = blocks('yaml');
    const played = (text: string): number[] => {
      const parsed = parse_script(text, 'a.yml');
      if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
      return parsed.script.groups.flatMap((group) => group.loops.map(({ actions }) => actions.length));
    };
    expect([first!, groups!, loops!, `protocol: p\n${merged!}`].map(played)).toEqual([[2], [2, 1, 1], [1, 1], [2]]);
  });

  it('shows what a bad script is really answered with', () => {
    const text = blocks('yaml')[4]!;
    const result = parse_script(text, 'heartbeat.yml');
    expect('faults' in result && render_faults(result.faults, text, false)).toBe(blocks('text')[0]!.trimEnd());
  });

  it('names every directive with its limits and default', () => {
    const row = (name: string): string => DOCS.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
    const { groups, ...top } = SCRIPT_SCHEMA.properties;
    const group = groups.additionalProperties.properties;
    for (const name of [...Object.keys(top), ...Object.keys(group), 'groups']) expect(row(name), name).not.toBe('');
    for (const name of ['protocol', 'actions', ...SCRIPT_SCHEMA.definitions.action.required])
      expect(row(name), name).toContain('| required |');
    for (const [name, rule] of Object.entries(RANGES))
      expect(row(name), name).toMatch(new RegExp(`\\| \`${rule.default}\` \\|$`));
    for (const name of ['rounds', 'sleep_between_rounds'] as const)
      expect(row(name)).toContain(`0 to ${RANGES[name].max}`);
    expect(row('actions')).toContain(`1 to ${MAX_ACTIONS}`);
    expect(row('groups')).toContain(`1 to ${MAX_GROUPS}`);
    expect(row('loops')).toContain(`1 to ${MAX_LOOPS}`);
    expect(row('share')).toContain(`0 to ${MAX_SHARE}`);
    expect(row('iterations')).toContain(`1 to ${MAX_ITERATIONS}`);
    expect(DOCS).toContain(`at most ${MAX_SIGMA}; ${DEFAULT_SIGMA} if it is left out`);
    for (const name of RESERVED_EXPORTS) expect(row('command')).toContain(`\`${name}\``);
  });
});
