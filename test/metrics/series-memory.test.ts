import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { ManyActions } from '../../bench/lib/many-actions.mjs';
import { Histogram } from '../../src/metrics/histogram.ts';
import { merge_groups, NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import { Series } from '../../src/metrics/series.ts';
import type { Totals } from '../../src/metrics/totals.ts';
import { beat } from './beats.ts';

const MIB = 2 ** 20;
const DAY_S = 86_400;

interface Shape {
  actions: number;
  moving: number;
  rounds: number;
  /** do they have rates? */
  is_rated?: boolean;
}

const many = (shape: Shape): Pick<ManyActions, 'names' | 'next'> => {
  const source = new ManyActions({ Histogram, NO_DEAD, merge_groups }, shape);
  return shape.is_rated ? { names: source.names, next: () => rated(source.next()) } : source;
};

/** The same swarm, if all its actions had rates. */
function rated({ snapshot, lost }: Totals): Totals {
  const dropped = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
  const group = snapshot.groups.main!;
  const actions = group.actions.map((action) => ({
    ...action,
    slots: { planned: action.started, waiting: 0, dropped, tardy: 0, late: action.service },
  }));
  return { snapshot: { ...snapshot, groups: { main: { ...group, actions } } }, lost };
}

/** A beat each `each_s` until `end_s`. Returns the last totals. */
function played(
  series: Series,
  source: Pick<ManyActions, 'names' | 'next'>,
  each_s: number,
  end_s: number,
  look = (): void => {},
): Totals {
  const actions = source.names;
  let totals = source.next();
  for (let second = each_s; second <= end_s; second += each_s) {
    series.beat(beat(second * 1000, totals, { actions }));
    look();
    if (second < end_s) totals = source.next();
  }
  return totals;
}

describe('the memory of a series', () => {
  it('stays within its bound over a day with a thousand actions, and all adds up', () => {
    const series = new Series(6 * MIB);
    const source = many({ actions: 1000, moving: 50, rounds: 20 });
    let most = 0;
    const totals = played(series, source, 120, DAY_S, () => (most = Math.max(most, series.bytes)));
    expect(most).toBeLessThan(6 * MIB);
    expect(most).toBeGreaterThan(5 * MIB);
    expect(series.adds_up(totals)).toEqual([]);
    const rows = [...series.rows()];
    expect(rows.reduce((all, { length_s }) => all + length_s, 0)).toBe(DAY_S);
    expect(rows.length).toBeGreaterThan(50);
  });

  it('stays within its bound with rates too', () => {
    const series = new Series(3 * MIB);
    let most = 0;
    const look = (): void => void (most = Math.max(most, series.bytes));
    const totals = played(series, many({ actions: 200, moving: 50, rounds: 20, is_rated: true }), 30, DAY_S / 4, look);
    expect(most).toBeLessThan(3 * MIB);
    expect(series.adds_up(totals)).toEqual([]);
    const planned = series.totals()!.slots.reduce((all, slots) => all + slots.planned, 0);
    expect(planned).toBe(series.totals()!.rounds.started);
  });

  it('has fewer fine seconds when there are many actions, and says so', () => {
    const series = new Series(3 * MIB);
    const totals = played(series, many({ actions: 200, moving: 50, rounds: 10 }), 1, 900);
    expect(series.bytes).toBeLessThan(3 * MIB);
    expect(series.fine_s).toBeGreaterThan(60);
    expect(series.fine_s).toBeLessThan(900);
    const lengths = [...series.rows()].map(({ length_s }) => length_s);
    expect(lengths.slice(-series.fine_s)).toEqual(Array.from({ length: series.fine_s }, () => 1));
    expect(lengths.at(-series.fine_s - 1)).toBeGreaterThan(1);
    expect(lengths).toContain(10);
    expect(series.adds_up(totals)).toEqual([]);
  });

  it('is what it says it is', () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): number => {
      // the second one takes what the first one found
      collect();
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    // held by nothing else, not even by a variable of this function
    const held: Series[] = [];
    const fill = (shape: Shape): number => {
      const series = new Series();
      played(series, many(shape), 1, 2000);
      held.push(series);
      return series.bytes;
    };
    for (const shape of [
      { actions: 300, moving: 30, rounds: 10 },
      { actions: 1, moving: 1, rounds: 10 },
      { actions: 100, moving: 30, rounds: 10, is_rated: true },
      { actions: 1, moving: 1, rounds: 10, is_rated: true },
    ]) {
      const said = fill(shape);
      const before = used();
      held.length = 0;
      const freed = before - used();
      expect(freed / said).toBeGreaterThan(0.6);
      expect(freed / said).toBeLessThan(1.2);
    }
  });
});
