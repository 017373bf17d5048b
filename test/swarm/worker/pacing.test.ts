import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../../src/foundation/clock.ts';
import { Pacing } from '../../../src/swarm/worker/pacing.ts';
import { until } from '../../patience.ts';

let pacing: Pacing | undefined;
afterEach(() => pacing?.rest());

function start(): { pacing: Pacing; woken: number[] } {
  const woken: number[] = [];
  pacing = new Pacing(() => woken.push(now()));
  return { pacing, woken };
}

/** ms by which it may be early */
const EARLY = 0.2;
/** Resolves when it was woken so often. */
const often = (woken: number[], times: number): Promise<unknown> =>
  until(
    () => `woken ${woken.length} times`,
    () => woken.length >= times,
  );
const next_thread = async (): Promise<Worker> => ((await once(process, 'worker')) as [Worker])[0];
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

describe('pacing', () => {
  it('wakes the loop once for each instant, hardly before it', async () => {
    const { pacing, woken } = start();
    for (let i = 1; i <= 50; i++) {
      const at = now() + (i % 5);
      pacing.wake_at(at);
      expect(pacing.asked).toBe(true);
      await often(woken, i);
      expect(woken).toHaveLength(i);
      expect(woken.at(-1)!).toBeGreaterThan(at - EARLY);
      expect(pacing.asked).toBe(false);
    }
  });

  it('wakes it at the earliest instant that was asked for', async () => {
    const { pacing, woken } = start();
    pacing.wake_at(now() + 100_000);
    await often((pacing.wake_at(now() + 1), woken), 1); // its thread may not be up yet
    pacing.wake_at(now() + 100_000);
    pacing.wake_at(now() + 200_000);
    pacing.wake_at(now() + 2);
    await often(woken, 2);
    expect(woken).toHaveLength(2);
  });

  it('has a thread from the first question until it rests, and a new one after that', async () => {
    const { pacing, woken } = start();
    for (let i = 1; i <= 2; i++) {
      const thread = next_thread();
      pacing.wake_at(now() + 1);
      await often(woken, i);
      const ended = once(await thread, 'exit');
      pacing.rest();
      expect(await ended).toEqual([0]);
    }
  });

  it('wakes nobody once it rests', async () => {
    const { pacing, woken } = start();
    pacing.wake_at(now() + 1);
    await often(woken, 1);
    pacing.wake_at(now());
    pacing.rest();
    for (let i = 0; i < 20; i++) await turn();
    expect(woken).toHaveLength(1);
  });

  it('goes on with timers where there can be no thread', async () => {
    const { pacing, woken } = start();
    const thread = next_thread();
    pacing.wake_at(now() + 1);
    (await thread).emit('error', new Error('no thread'));
    for (let i = 1; i <= 5; i++) {
      const at = now() + i;
      pacing.wake_at(at);
      await often(woken, i);
    }
    expect(woken.length).toBeGreaterThanOrEqual(5);
  });
});
