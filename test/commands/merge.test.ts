import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run_merge } from '../../src/commands/merge.ts';
import { Output } from '../../src/foundation/output.ts';
import { bury, NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import type { Summary } from '../../src/metrics/summary.ts';
import { to_summary } from '../../src/metrics/totals.ts';
import { parse_options } from '../../src/options/parse-options.ts';
import { a_snapshot, INPUT } from '../metrics/arbitraries.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'swarm-merge-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

function final(segment: string, seed: number): Summary {
  const death = { worker: 'w1', incarnation: 'i', at: '2026-01-02T03:04:05Z', silent_ms: 1 };
  const dead = bury(NO_DEAD, a_snapshot(seed), death);
  const run = { ...INPUT.run, id: `run-${segment}`, segment };
  return to_summary({ ...INPUT, run, final: true, histograms: true, members: [], dead });
}

async function merge(files: string[], summary?: string): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' };
  const output = (to: 'out' | 'err'): Output =>
    new Output(new Writable({ write: (chunk, _, done) => ((text[to] += String(chunk)), done()) }));
  const parsed = parse_options(summary === undefined ? {} : { summary: { texts: [summary], from: 'flag' } }, 'merge');
  if (!('options' in parsed)) throw new Error('bad options');
  const io = { out: output('out'), err: output('err'), colour: { out: false, err: false } };
  const code = await run_merge(files, parsed.options, io);
  return { code, ...text };
}

describe('swarm merge', () => {
  it('prints the table of all, writes the summary, and takes that again', async () => {
    const [a, b, c] = ['1/3', '2/3', '3/3'].map((segment, i) => write(`${i}.json`, final(segment, i + 1)));
    const file = join(folder, 'all.json');
    const { code, out, err } = await merge([a!, c!], file);
    expect({ code, err }).toEqual({
      code: 0,
      err: 'swarm: no summary of segment 1/3:2/3 is among them: this is not the whole swarm\n',
    });
    expect(out).toMatch(/^swarm 0.1.0, segment 0\/3:1\/3,2\/3:3\/3, run run-1\/3\+run-3\/3: 12.5 s\n/);
    expect(out).toContain('the books balance');
    const whole = await merge([file, b!]);
    expect({ code: whole.code, err: whole.err }).toEqual({ code: 0, err: '' });
    expect(whole.out).toMatch(/^swarm 0.1.0, run run-1/);
  });

  it('ends with 1 when the books of a part do not balance, and names it', async () => {
    const off = write('off.json', { ...final('2/2', 2), balanced: false });
    const { code, err } = await merge([write('a.json', final('1/2', 1)), off]);
    expect(code).toBe(1);
    expect(err).toBe(`swarm: the books of ${off} do not balance\n`);
  });

  it.each<[string, unknown, RegExp]>([
    ['text', 'hello\x1b[2J', /it is not JSON: [^\x1b]*$/],
    ['nothing', '', /it is not JSON/],
    ['another object', {}, /its format is not swarm-summary\/1/],
    ['no object', null, /its format is not swarm-summary\/1/],
    ['a later format', { ...final('1/2', 1), format: 'swarm-summary/2' }, /its format is not/],
    ['a summary of a moment', { ...final('1/2', 1), final: false }, /it is not final/],
    ['a field too many', { ...final('1/2', 1), more: 1 }, /must NOT have additional properties/],
    ['a field too few', { ...final('1/2', 1), target: undefined }, /must have required property 'target'/],
    ['a wrong type', { ...final('1/2', 1), target: '5' }, /\/target must be integer/],
    ['depth', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /its format is not/],
  ])('refuses %s, and says what is wrong with it', async (_, content, text) => {
    const bad = write('bad.json', content);
    const refused = merge([write('a.json', final('2/2', 1)), bad]);
    await expect(refused).rejects.toThrow(text);
    await expect(refused).rejects.toMatchObject({ code: 'bad_summary', exit: 2 });
    await expect(refused).rejects.toThrow(`${bad} is not a summary that can be merged: `);
  });

  it('refuses what is no file, and what is too large', async () => {
    await expect(merge([join(folder, 'none.json')])).rejects.toThrow(/ENOENT/);
    await expect(merge([folder])).rejects.toMatchObject({ code: 'bad_summary' });
    await expect(merge(['/dev/zero'])).rejects.toThrow(/not a regular file/);
    const large = write('large.json', '');
    writeFileSync(large, Buffer.alloc(64 * 1024 * 1024 + 1, ' '));
    await expect(merge([large])).rejects.toThrow(/larger than 67108864 bytes/);
  });

  it('does not write over what it reads', async () => {
    const a = write('a.json', final('1/1', 1));
    const before = readFileSync(a, 'utf8');
    await expect(merge([a], join(folder, '.', 'a.json'))).rejects.toMatchObject({ code: 'bad_option' });
    await expect(merge([a], join(folder, 'no', 'all.json'))).rejects.toMatchObject({ code: 'bad_summary_path' });
    expect(readFileSync(a, 'utf8')).toBe(before);
  });

  it('never throws anything but a fault with a code, whatever a field is', async () => {
    const good = final('1/2', 1) as unknown as Record<string, unknown>;
    const paths = ['clients', 'connections', 'requests', 'actions', 'errors', 'run', 'mark', 'workers', 'limits'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue(), async (name, value) => {
        const files = [write('a.json', { ...good, [name]: value })];
        const code = await merge(files).then(
          () => 'merged',
          (error: unknown) => (error as { code?: string }).code,
        );
        expect(['merged', 'bad_summary']).toContain(code);
      }),
      { numRuns: 40 },
    );
  });
});
