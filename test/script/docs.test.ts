import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RESERVED_EXPORTS } from '../../src/protocols/module.ts';
import { read_load } from '../../src/grammar/load-text.ts';
import { HOLD, STEP_ROWS } from '../../src/grammar/step-rows.ts';
import { render_faults } from '../../src/script/fault.ts';
import { parse_script } from '../../src/script/parse.ts';
import {
  DEFAULT_SIGMA,
  MAX_ACTIONS,
  MAX_AT_ONCE,
  MAX_GIVE_UP,
  MAX_ITERATIONS,
  MAX_LOOPS,
  MAX_SIGMA,
  MIN_GIVE_UP,
  RANGES,
  SCRIPT_SCHEMA,
} from '../../src/script/schema.ts';
import { MAX_GROUPS, MAX_SHARE } from '../../src/script/types.ts';

const DOCS = readFileSync(new URL('../../docs/script.md', import.meta.url), 'utf8');
const LOAD_DOCS = readFileSync(new URL('../../docs/load.md', import.meta.url), 'utf8');
const blocks = (language: string, docs = DOCS): string[] =>
  [...docs.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) => text!);

describe('docs/script.md', () => {
  it('has examples that load', () => {
    const [first, rated, groups, loops, load, merged] = blocks('yaml');
    const played = (text: string): number[] => {
      const parsed = parse_script(text, 'a.yml');
      if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
      return parsed.script.groups.flatMap((group) => group.loops.map(({ actions }) => actions.length));
    };
    expect([first!, rated!, groups!, loops!, load!, `protocol: p\n${merged!}`].map(played)).toEqual([
      [2],
      [2],
      [2, 1, 1],
      [1, 1],
      [1],
      [2],
    ]);
  });

  it('shows what a bad script is really answered with', () => {
    const text = blocks('yaml')[6]!;
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
    for (const name of Object.keys(SCRIPT_SCHEMA.definitions.action.properties)) expect(row(name), name).not.toBe('');
    expect(row('at_once')).toContain(`1 to ${MAX_AT_ONCE}`);
    expect(row('give_up')).toContain(`${MIN_GIVE_UP} to ${MAX_GIVE_UP}`);
    expect(row('actions')).toContain(`1 to ${MAX_ACTIONS}`);
    expect(row('groups')).toContain(`1 to ${MAX_GROUPS}`);
    expect(row('loops')).toContain(`1 to ${MAX_LOOPS}`);
    expect(row('share')).toContain(`0 to ${MAX_SHARE}`);
    expect(row('iterations')).toContain(`1 to ${MAX_ITERATIONS}`);
    expect(DOCS).toContain(`at most ${MAX_SIGMA}; ${DEFAULT_SIGMA} if it is left out`);
    for (const name of RESERVED_EXPORTS) expect(row('command')).toContain(`\`${name}\``);
  });
});

describe('docs/load.md', () => {
  it('has loads that can be played', () => {
    const [first, groups, rates] = blocks('yaml', LOAD_DOCS);
    const two =
      'protocol: p\ngroups:\n  talkers: { actions: [{ command: a }] }\n  others: { actions: [{ command: b }] }\n';
    const steps = [first!, `${two}${groups!}`, rates!].map((text) => {
      const parsed = parse_script(text, 'a.yml');
      if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
      return read_load(parsed.load!.text).steps.length;
    });
    expect(steps).toEqual([18, 4, 9]);
  });

  it('has a row for each step', () => {
    const rows = [...LOAD_DOCS.matchAll(/^\| `([^`]+)` \|.*\|.*\|$/gm)].map(([, usage]) =>
      usage!.replaceAll('\\|', '|'),
    );
    for (const { usage } of [...STEP_ROWS, HOLD]) expect(rows).toContain(usage);
    expect(rows).toContain('repeat N (STEPS)');
  });

  it('has lines for those who come from elsewhere that can be played', () => {
    const coming = LOAD_DOCS.slice(LOAD_DOCS.indexOf('## Coming from'));
    const cells = [...coming.matchAll(/^\|.*?\|(.*)\|.*\|$/gm)].map(([, cell]) => cell!);
    const names = [...STEP_ROWS, HOLD].map(({ name }) => name).join('|');
    const lines = cells
      .flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!))
      .filter((text) => new RegExp(`^(${names}) `).test(text));
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) {
      const filled = line
        .replace(/\bN\d?\b/g, '10')
        .replace(/\bD\d?\b/g, '5s')
        .replace('GROUP', 'buyers')
        .replaceAll('ACTION', 'say');
      expect(read_load(filled).faults, line).toEqual([]);
    }
  });

  it('shows what a bad load is really answered with', () => {
    const [fault] = blocks('text', LOAD_DOCS);
    const text = 'protocol: p\nactions:\n  - { command: say }\nload:\n  - sett 1000 over 30s\n  - stop\n';
    const result = parse_script(text, 'chat.yml');
    expect('faults' in result && render_faults(result.faults, text, false)).toBe(fault!.trimEnd());
  });
});
