/** Sums of what became of the slots of clients that arrive. */
import { merge } from './histogram.ts';
import { ARRIVAL_DROPS, type ArrivalDrop, type ArrivalSnapshot } from './snapshot.ts';

export const arrival_drops = (count: (reason: ArrivalDrop) => number): Record<ArrivalDrop, number> =>
  Object.fromEntries(ARRIVAL_DROPS.map((reason) => [reason, count(reason)])) as Record<ArrivalDrop, number>;

/** As several members have it: the sum. Nothing if clients arrived in none of them. */
export function merge_arrivals(list: readonly { readonly arrivals?: ArrivalSnapshot }[]): {
  readonly arrivals?: ArrivalSnapshot;
} {
  const all = list.flatMap(({ arrivals }) => arrivals ?? []);
  if (all.length === 0) return {};
  const sum = (of: (arrivals: ArrivalSnapshot) => number): number => all.reduce((sum, one) => sum + of(one), 0);
  return {
    arrivals: {
      planned: sum(({ planned }) => planned),
      started: sum(({ started }) => started),
      live: sum(({ live }) => live),
      dropped: arrival_drops((reason) => sum(({ dropped }) => dropped[reason])),
      late: merge(...all.map(({ late }) => late)),
    },
  };
}
