import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotRecorder } from '../../../src/metrics/recorder.ts';
import type { DropReason } from '../../../src/metrics/snapshot.ts';
import { SlotQueue } from '../../../src/swarm/load/slot-queue.ts';
import type { TenureOrders } from '../../../src/swarm/plan/orders.ts';
import { begin_rate, change_rate, poisson_key, slots_by, type RatePiece } from '../../../src/swarm/plan/rate-piece.ts';
import { dues_of, is_in } from './naive-slots.ts';

const KEY = poisson_key('queue', 'main.0');
const WHOLE: TenureOrders = { id: 1, from: 0, to: 1_000_000, first: 1, closing: false };
const piece_at = (per_s: number, at_us = 0): RatePiece =>
  begin_rate(at_us, { to_rate: per_s * 1e6, over_us: 0, poisson: false }, KEY).piece;
const made = (give_up_us: number, max_backlog: number | null): { queue: SlotQueue; counts: SlotRecorder } => {
  const counts = new SlotRecorder(0);
  return { queue: new SlotQueue(counts, give_up_us, max_backlog), counts };
};
const books = ({ planned, waiting, dropped }: SlotRecorder, started: number): void => {
  expect(planned).toBe(started + waiting + Object.values(dropped).reduce((a, b) => a + b, 0));
};

/** The same with a list of slots. */
class NaiveQueue {
  readonly waiting: { n: number; due: number }[] = [];
  readonly dropped: Record<DropReason, number> = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
  planned = 0;
  at = 0;
  readonly tenures = new Map<number, { orders: TenureOrders; closed: number }>();
  readonly #dues: readonly number[];
  readonly #give_up_us: number;
  readonly #max: number;

  constructor(dues: readonly number[], give_up_us: number, max: number) {
    this.#dues = dues;
    this.#give_up_us = give_up_us;
    this.#max = max;
  }

  follow(tenures: readonly TenureOrders[], now_us: number): void {
    const fresh = tenures.filter(({ id }) => !this.tenures.has(id));
    for (const orders of fresh) this.tenures.set(orders.id, { orders, closed: Infinity });
    for (const { first, from, to } of fresh)
      for (let n = first; n <= this.at; n++) if (is_in({ from, to }, n)) this.#plan(n);
    this.waiting.sort((a, b) => a.n - b.n);
    for (const [id, tenure] of this.tenures) {
      const now = tenures.find((one) => one.id === id);
      if (now === undefined || now.closing)
        tenure.closed = Math.min(tenure.closed, Math.max(this.at, tenure.orders.first - 1));
    }
    this.make(now_us);
  }

  make(now_us: number): void {
    while (this.#dues[this.at + 1]! <= now_us) if (this.#owns(++this.at)) this.#plan(this.at);
    while (this.waiting.length > 0 && this.waiting[0]!.due <= now_us - this.#give_up_us) this.#drop('no_free_client');
    while (this.waiting.length > this.#max) this.#drop('backlog');
  }

  next_us(): number {
    for (let n = this.at + 1; n < this.#dues.length; n++) if (this.#owns(n)) return this.#dues[n]!;
    return Infinity;
  }

  drop_all(reason: DropReason, until_us: number): void {
    this.make(until_us);
    while (this.waiting.length > 0) this.#drop(reason);
  }

  #owns(n: number): boolean {
    return [...this.tenures.values()].some(
      ({ orders, closed }) => orders.first <= n && n <= closed && is_in(orders, n),
    );
  }

  #plan(n: number): void {
    this.planned++;
    this.waiting.push({ n, due: this.#dues[n]! });
  }

  #drop(reason: DropReason): void {
    this.waiting.shift();
    this.dropped[reason]++;
  }
}

type Step =
  | { readonly does: 'pass'; readonly us: number }
  | { readonly does: 'take'; readonly count: number }
  | { readonly does: 'drop'; readonly reason: DropReason }
  | { readonly does: 'begin'; readonly from: number; readonly width: number; readonly back: number }
  | { readonly does: 'close' | 'forget'; readonly which: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ does: fc.constant('pass' as const), us: fc.nat(400_000) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('take' as const), count: fc.nat(40) }) },
    fc.record({ does: fc.constant('drop' as const), reason: fc.constantFrom<DropReason>('stopped', 'paused') }),
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('begin' as const),
        from: fc.integer({ min: 0, max: 9 }),
        width: fc.integer({ min: 1, max: 5 }),
        back: fc.integer({ min: -30, max: 100 }),
      }),
    },
    fc.record({ does: fc.constantFrom('close' as const, 'forget' as const), which: fc.nat(10) }),
  ),
  { minLength: 5, maxLength: 40 },
);
const rates = fc.array(
  fc.record({
    to_rate: fc.integer({ min: 0, max: 400 }).map((per_s) => per_s * 1e6 + (per_s % 7)),
    over_us: fc.oneof(fc.constant(0), fc.nat(2e6)),
    poisson: fc.boolean(),
    after_us: fc.nat(2e6),
  }),
  { minLength: 1, maxLength: 6 },
);

/** Slots of the future are known in this test. */
function pieces_of(
  changes: readonly { to_rate: number; over_us: number; poisson: boolean; after_us: number }[],
): RatePiece[] {
  let rate = begin_rate(0, { ...changes[0]!, over_us: 0 }, KEY);
  const pieces = [rate.piece];
  let at_us = 0;
  for (const change of changes.slice(1)) {
    at_us += change.after_us;
    rate = change_rate(rate, at_us, change, KEY);
    if (pieces.at(-1)!.from_us === rate.piece.from_us) pieces.pop();
    pieces.push(rate.piece);
  }
  return pieces;
}

describe('SlotQueue', () => {
  it('does what a list of slots would do', () => {
    fc.assert(
      fc.property(rates, steps, fc.integer({ min: 1, max: 2e6 }), fc.nat(200), (changes, list, give_up, max) => {
        const pieces = pieces_of(changes);
        const naive = new NaiveQueue(dues_of(pieces, 8000), give_up, max);
        const { queue, counts } = made(give_up, max);
        let [now, started, id] = [0, 0, 0];
        let tenures: TenureOrders[] = [];
        const follow = (): void => {
          // what is past is not in orders any more
          const current = pieces.findLastIndex(({ from_us }) => from_us <= now);
          queue.follow({ pieces: pieces.slice(current), tenures });
          queue.make(now);
          naive.follow(tenures, now);
        };
        const free = (from: number, to: number): boolean => tenures.every((one) => to <= one.from || one.to <= from);
        const act = (step: Step): void => {
          if (step.does === 'pass') now += step.us;
          else if (step.does === 'take') {
            for (let k = 0; k < step.count; k++) {
              const due = naive.waiting.shift()?.due ?? Infinity;
              expect(queue.oldest_us).toBe(due);
              expect(queue.take()).toBe(due);
              if (due !== Infinity) started++;
            }
          } else if (step.does === 'drop') {
            queue.drop_all(step.reason, now);
            naive.drop_all(step.reason, now);
          } else if (step.does === 'begin') {
            const [from, to] = [step.from * 1e5, Math.min(1e6, (step.from + step.width) * 1e5)];
            const ends = [...naive.tenures.values()].filter(({ orders }) => from < orders.to && orders.from < to);
            const first = Math.max(1, naive.at - step.back, ...ends.map(({ closed }) => closed + 1));
            if (free(from, to) && first < Infinity)
              tenures = [...tenures, { id: ++id, from, to, first, closing: false }];
            follow();
          } else if (step.does === 'close') {
            tenures = tenures.map((one, i) => (i === step.which ? { ...one, closing: true } : one));
            follow();
          } else {
            const { id: over } = queue.accounts().filter(({ closed }) => closed !== null)[step.which] ?? {};
            tenures = tenures.filter((one) => one.id !== over);
            follow();
          }
          queue.make(now);
          naive.make(now);
        };
        follow();
        for (const step of list) {
          act(step);
          expect({ ...counts.dropped }).toEqual(naive.dropped);
          expect([counts.planned, queue.waiting]).toEqual([naive.planned, naive.waiting.length]);
          expect(queue.oldest_us).toBe(naive.waiting[0]?.due ?? Infinity);
          expect(queue.next_us).toBe(naive.next_us());
          books(counts, started);
          for (const account of queue.accounts()) {
            const { orders, closed } = naive.tenures.get(account.id)!;
            expect(account.closed === null).toBe(closed === Infinity);
            // it need not look at slots before its own next one
            const [low, high] = account.closed === null ? [account.at, naive.at] : [account.closed, closed];
            expect(low).toBeLessThanOrEqual(high);
            for (let n = Math.max(low + 1, orders.first); n <= high; n++) expect(is_in(orders, n)).toBe(false);
            expect(account.closed ?? Infinity).toBeGreaterThanOrEqual(orders.first - 1);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has nothing without orders', () => {
    const { queue } = made(1e6, null);
    queue.make(1e9);
    expect([queue.waiting, queue.oldest_us, queue.next_us, queue.take()]).toEqual([0, Infinity, Infinity, Infinity]);
    expect(queue.accounts()).toEqual([]);
  });

  it('lets a second of its own slots wait, at least 1000, unless it was told how many', () => {
    const half: TenureOrders = { ...WHOLE, to: 500_000 };
    for (const [per_s, max, waiting] of [
      [10_000, null, 5000],
      [500, null, 1000],
      [10_000, 7, 7],
      [10_000, 0, 0],
    ] as const) {
      const { queue, counts } = made(1e9, max);
      queue.follow({ pieces: [piece_at(per_s)], tenures: [half] });
      for (let ms = 0; ms <= 5000; ms += 10) queue.make(ms * 1000);
      expect([queue.waiting, counts.planned, counts.dropped.backlog]).toEqual([
        waiting,
        per_s * 2.5,
        per_s * 2.5 - waiting,
      ]);
    }
  });

  it('jumps over a stall of hours', () => {
    const { queue, counts } = made(100, 10);
    queue.follow({ pieces: [piece_at(1e6)], tenures: [{ ...WHOLE, to: 250_000 }] });
    queue.make(36e9); // walked one by one it would take the time limit many times over
    expect(counts.planned).toBe(9e9);
    expect(counts.dropped.no_free_client).toBe(9e9 - 25);
    expect(counts.dropped.backlog).toBe(15);
    expect(queue.oldest_us).toBeGreaterThan(36e9 - 60);
  });

  it('goes on with the next number when it ran ahead of a change', () => {
    const fast = begin_rate(0, { to_rate: 1e9, over_us: 0, poisson: false }, KEY);
    const slow = change_rate(fast, 1e6, { to_rate: 1e8, over_us: 0, poisson: false }, KEY);
    const { queue, counts } = made(1e9, null);
    queue.follow({ pieces: [fast.piece], tenures: [WHOLE] });
    queue.make(1.1e6);
    expect(counts.planned).toBe(1100);
    queue.follow({ pieces: [slow.piece], tenures: [WHOLE] });
    expect(queue.next_us).toBe(1e6 + 101 * 10_000);
    queue.make(3e6);
    expect(counts.planned).toBe(slots_by(slow.piece, 3e6));
    expect(queue.accounts()).toEqual([{ id: 1, at: 1200, closed: null }]);
  });

  it('keeps what waits of tenures that orders do not have any more, up to 64 of them', () => {
    const { queue, counts } = made(1e9, null);
    const pieces = [piece_at(1000)];
    for (let k = 0; k < 100; k++) {
      queue.follow({ pieces, tenures: [{ ...WHOLE, id: k, first: k * 2 + 1 }] });
      queue.make((k + 1) * 2000);
    }
    queue.follow({ pieces, tenures: [] });
    expect([queue.waiting, counts.dropped.backlog, queue.oldest_us]).toEqual([128, 72, 73_000]);
    expect(queue.next_us).toBe(Infinity);
    for (let n = 73; n <= 200; n++) expect(queue.take()).toBe(n * 1000);
    books(counts, 128);
  });

  it('drops all that is due by a stop, and makes nothing after it', () => {
    const { queue, counts } = made(1e9, null);
    queue.follow({ pieces: [piece_at(1000)], tenures: [WHOLE] });
    queue.make(500_000);
    queue.drop_all('stopped', 600_000);
    expect(counts.dropped.stopped).toBe(600);
    expect(queue.oldest_us).toBe(Infinity);
  });
});

describe('a tenure with a last slot', () => {
  const bounded = (first: number, last: number): TenureOrders => ({ ...WHOLE, from: 0, to: 500_000, first, last });

  it('is ended there by its member, whenever that slot comes, and plans each of its slots once', () => {
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(30),
        fc.array(fc.nat(20), { maxLength: 6 }),
        (at, first, more, steps) => {
          const { queue, counts } = made(1e12, null);
          const last = first + more;
          const orders = { pieces: [piece_at(10)], tenures: [{ ...WHOLE, id: 9, from: 999_999 }] };
          queue.follow(orders);
          queue.make(at * 1e5);
          queue.follow({ ...orders, tenures: [...orders.tenures, bounded(first, last)] });
          let now = at;
          for (const step of [...steps, 200]) queue.make((now += step) * 1e5);
          expect(queue.accounts().find(({ id }) => id === 1)).toMatchObject({ closed: last });
          const slots = Array.from({ length: more + 1 }, (_, i) => first + i);
          expect(counts.planned).toBe(slots.filter((n) => is_in({ from: 0, to: 500_000 }, n)).length);
          books(counts, 0);
        },
      ),
    );
  });

  it('is ended earlier if its member is asked to', () => {
    const { queue } = made(1e12, null);
    queue.follow({ pieces: [piece_at(10)], tenures: [bounded(1, 90)] });
    queue.make(1e6);
    queue.follow({ pieces: [piece_at(10)], tenures: [{ ...bounded(1, 90), closing: true }] });
    const [account] = queue.accounts();
    expect(account!.closed).toBe(account!.at);
    expect(account!.at).toBeLessThan(90);
  });
});
