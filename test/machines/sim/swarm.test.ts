/**
 * Swarms of many machines under misfortune, each drawn from its seed: 10 000 of them, on all cores. Another range is
 * `SWARM_SIM_SEEDS=1-100000`; of a single one all that happened is printed. `SWARM_SIM_SEEDS=1-10000` on two cores of Node 20: 52 s.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { play, play_of } from './swarm.ts';

const range = process.env['SWARM_SIM_SEEDS']?.split('-').map(Number);
const [from, to] = [range?.[0] ?? 1, range?.[1] ?? range?.[0] ?? 10_000];
// it gives way to all others: beside two endless loops and a build it took eleven minutes
const TIMEOUT_MS = range ? 3_600_000 : 1_800_000;

/** Plays all seeds from `first` on in steps; resolves with the lines that it wrote. The last one says how many it played. */
function plays(file: string, first: number, step: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const args = ['--max-semi-space-size=32', '--single-threaded-gc', file, `${first}`, `${to}`, `${step}`];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: TIMEOUT_MS - 5000,
      killSignal: 'SIGKILL',
    });
    let text = '';
    child.on('error', reject);
    // tests that wait for real time go first
    child.on('spawn', () => {
      try {
        setPriority(child.pid!, 10);
      } catch {
        // it has ended
      }
    });
    child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
    child.on('close', () => resolve(text.trim().split('\n')));
  });
}

test(
  'whatever happens: never too many, nobody twice, no command lost, all counted, and all is well again after it',
  async () => {
    if (from === to) {
      await play(from, play_of(from), (notes) => console.log(notes.join('\n')));
      return;
    }
    const folder = await mkdtemp(join(tmpdir(), 'swarm-sim-'));
    try {
      const outfile = join(folder, 'plays.cjs');
      const entryPoints = [join(import.meta.dirname, 'plays.ts')];
      // where the schema of summaries is found from
      const define = { 'import.meta.url': JSON.stringify(import.meta.resolve('../../../src/metrics/read-summary.ts')) };
      await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'cjs', define });
      const processes = availableParallelism();
      const said = await Promise.all(Array.from({ length: processes }, (_, i) => plays(outfile, from + i, processes)));
      const failed = said.flat().filter((line) => !line.startsWith('played '));
      const replay = 'SWARM_SIM_SEEDS=<seed> npx vitest run --project unit test/machines/sim/swarm.test.ts';
      expect(failed.length === 0 ? '' : [...failed, `replay with ${replay}`].join('\n')).toBe('');
      const played = said.map((lines) => Number(/^played (\d+)$/.exec(lines.at(-1)!)?.[1]));
      expect(played.reduce((all, count) => all + count, 0)).toBe(to - from + 1);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  TIMEOUT_MS,
);

test('a seed runs the same way each time', async () => {
  const notes: (readonly string[])[] = [];
  const one = { misfortune: 'rough', length: 'long' } as const;
  for (let i = 0; i < 2; i++) await play(4, one, (all) => notes.push(all));
  expect(notes[1]).toEqual(notes[0]);
});
