import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../../src/foundation/clock.ts';
import { ActionRecorder } from '../../../src/metrics/recorder.ts';
import type { SlotTaker } from '../../../src/swarm/client/slot-desk.ts';
import { SlotQueue } from '../../../src/swarm/load/slot-queue.ts';
import { Permit } from '../../../src/swarm/plan/permit.ts';
import type { Dispatcher } from '../../../src/swarm/worker/dispatcher.ts';
import { SlotTurns } from '../../../src/swarm/worker/slot-turns.ts';
import { until } from '../../patience.ts';
import { rate_orders, type Rates } from '../rates.ts';

let turns: SlotTurns | undefined;
afterEach(() => turns?.close());

/** Run time began a second ago. */
function start(permit = new Permit(() => {})): { turns: SlotTurns; zero_ms: number } {
  const zero_ms = now() - 1000;
  turns = new SlotTurns(permit, zero_ms);
  return { turns, zero_ms };
}

/** An action as takers share it. */
function rated(index: number, rates: Rates): Parameters<SlotTurns['dispatcher']>[0][number] {
  const recorder = new ActionRecorder(0).rated();
  const queue = new SlotQueue(recorder, 1e9, 100_000);
  queue.follow(rate_orders(rates));
  return { index, queue, recorder };
}
/** so many in the first second */
const in_all = (slots: number): Rates => [
  [slots, 1e6],
  [0, Infinity],
];

interface Played {
  readonly taker: string;
  readonly action: number;
  readonly due: number;
}

/** Plays each slot at once, and is free for the next. */
class Taker implements SlotTaker {
  queued = false;
  queue_next: Taker | null = null;
  queue_prev: Taker | null = null;
  takes_slots = true;
  readonly name: string;
  readonly #desk: Dispatcher;
  readonly #played: Played[];

  constructor(name: string, desk: Dispatcher, played: Played[]) {
    this.name = name;
    this.#desk = desk;
    this.#played = played;
  }

  take_slot(action: number, due: number): void {
    this.#played.push({ taker: this.name, action, due });
    this.#desk.free(this);
  }
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));
const all_of = (played: Played[], slots: number): Promise<unknown> =>
  until(
    () => `${played.length} played`,
    () => played.length >= slots,
  );

describe('turns of slots', () => {
  it('give the one that is due first, of all actions that share takers, to who is free longest', async () => {
    const { turns, zero_ms } = start();
    const desk = turns.dispatcher([rated(0, in_all(20)), rated(1, in_all(50))]);
    const played: Played[] = [];
    for (const name of ['a', 'b', 'c']) desk.free(new Taker(name, desk, played));
    await all_of(played, 70);
    expect(played.map(({ taker }) => taker).join('')).toMatch(/^(abc){23}a$/);
    const due = played.map(({ due }) => due - zero_ms);
    expect(due).toEqual(due.toSorted((a, b) => a - b));
    expect(due.at(-1)).toBeCloseTo(1000, 6);
    expect(played.filter(({ action }) => action === 1)).toHaveLength(50);
  });

  it('start at most a hundred in one turn of the event loop, of all groups in turn', async () => {
    const { turns } = start();
    const played: Played[] = [];
    for (let i = 0; i < 3; i++) {
      const desk = turns.dispatcher([rated(i, in_all(500))]);
      desk.free(new Taker('a', desk, played));
    }
    let before = 0;
    const of_turn = [];
    while (played.length < 1500) {
      await turn();
      of_turn.push(played.length - before);
      before = played.length;
    }
    // the thread may have one turn beside that of the loop
    expect(Math.max(...of_turn)).toBeLessThanOrEqual(200);
    const early = new Set(played.slice(0, 600).map(({ action }) => action));
    expect(early.size).toBe(3);
  });

  it('pass over a taker that has become busy by itself', async () => {
    const { turns } = start();
    const desk = turns.dispatcher([rated(0, in_all(5))]);
    const played: Played[] = [];
    const [gone, here] = [new Taker('gone', desk, played), new Taker('here', desk, played)];
    gone.takes_slots = false;
    desk.free(gone);
    desk.free(here);
    await all_of(played, 5);
    expect(new Set(played.map(({ taker }) => taker))).toEqual(new Set(['here']));
    expect(gone.queued).toBe(false);
  });

  it('ask a taker first whose own round was due later, if nobody else is free', () => {
    const { turns, zero_ms } = start();
    const desk = turns.dispatcher([rated(0, in_all(4))]);
    const played: Played[] = [];
    const [one, other] = [new Taker('one', desk, played), new Taker('other', desk, played)];
    expect(desk.goes_first(one, Infinity)).toBe(false); // nobody has counted yet
    turns.make();
    expect(desk.goes_first(one, zero_ms + 250)).toBe(false); // due at 250, 500, 750, 1000
    expect(desk.goes_first(one, zero_ms + 251)).toBe(true);
    expect(desk.goes_first(one, zero_ms + 501)).toBe(true);
    desk.free(other);
    desk.busy(one);
    expect(desk.goes_first(one, Infinity)).toBe(false);
    expect(played.map(({ taker }) => taker)).toEqual(['one', 'one']);
  });

  it('drop what is due while it shall not start', () => {
    const { turns } = start();
    const action = rated(0, in_all(4));
    const desk = turns.dispatcher([action]);
    desk.dropping = 'paused';
    turns.make();
    expect(action.recorder).toMatchObject({ planned: 4, waiting: 0 });
    expect(action.recorder.dropped.paused).toBe(4);
    expect(desk.start_one()).toBe(false);
  });

  it('end with the permit', async () => {
    const expired: number[] = [];
    const permit = new Permit(() => expired.push(1));
    const { turns } = start(permit);
    const desk = turns.dispatcher([rated(0, [[1000, Infinity]])]);
    const played: Played[] = [];
    permit.renew(now() - 1);
    desk.free(new Taker('a', desk, played));
    await until(
      () => 'it does not expire',
      () => expired.length > 0,
    );
    expect(played).toEqual([]);
  });
});
