import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAILURES, FAULTS, reason_of, SwarmError } from '../../src/foundation/errors.ts';

/** The rows of the table under a heading of docs/errors.md, as cells; the first cell without its backticks. */
function table(heading: string): string[][] {
  const text = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    )
    .map(([code = '', ...cells]) => [code.replaceAll('`', ''), ...cells]);
}

describe('docs/errors.md', () => {
  it('lists exactly the faults of the code, with their texts', () => {
    const rows = Object.entries(FAULTS).map(([code, { text, hint, exit }]) => [code, String(exit), text, hint]);
    expect(table('Faults').sort()).toEqual(rows.sort());
  });

  it('lists exactly the failures of the code, with their texts', () => {
    expect(table('Failures').sort()).toEqual(Object.entries(FAILURES).sort());
  });
});

describe('SwarmError', () => {
  it('says what happened and what to do next, and keeps the cause', () => {
    const cause = new Error('why');
    const error = new SwarmError('bad_option', { option: '--workers', reason: '"x" is not a number' }, cause);
    expect(error.message).toBe(
      '--workers: "x" is not a number (bad_option: `swarm <command> --help` lists what each command takes)',
    );
    expect(error).toMatchObject({ code: 'bad_option', exit: 2, cause });
  });
});

describe('reason_of', () => {
  it('says anything thrown on one line', () => {
    expect(reason_of(new Error('one\ntwo'))).toBe('one');
    expect(reason_of(new TypeError())).toBe('TypeError');
    expect(reason_of('text')).toBe('text');
    expect(reason_of(undefined)).toBe('undefined');
    expect(reason_of(Object.create(null))).toBe('an error that cannot be printed');
  });
});
