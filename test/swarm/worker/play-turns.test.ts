import { describe, expect, it } from 'vitest';
import { PlayTurns, TURN_BATCH } from '../../../src/swarm/worker/play-turns.ts';
import { until } from '../../patience.ts';

describe('PlayTurns', () => {
  it('lets each go on once, in their order, however many there are', async () => {
    for (const count of [1, 31, 32, 33, TURN_BATCH, 3 * TURN_BATCH + 7]) {
      const turns = new PlayTurns();
      const went: number[] = [];
      for (let i = 0; i < count; i++) turns.add({ go_on: () => void went.push(i) });
      expect(went).toEqual([]);
      await until('all', () => went.length === count);
      expect(went).toEqual(Array.from({ length: count }, (_, i) => i));
    }
  });

  it('gives the event loop a turn, though each wants the next turn at once', async () => {
    const turns = new PlayTurns();
    let [went, looped] = [0, 0];
    const player = { go_on: () => (went++, turns.add(player)) };
    for (let i = 0; i < 200; i++) turns.add(player);
    const timer = setInterval(() => looped++, 1);
    await until('other turns', () => looped >= 20);
    clearInterval(timer);
    turns.close();
    expect(went).toBeGreaterThan(200);
    await new Promise((done) => setImmediate(done));
    const before = went;
    await new Promise((done) => setTimeout(done, 5));
    expect(went).toBe(before);
  });
});
