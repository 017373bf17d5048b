/** Sums and differences of what became of the slots of rated actions. */
import { EMPTY, merge, subtract } from './histogram.ts';
import { DROP_REASONS, type ActionSnapshot, type DropReason, type SlotSnapshot } from './snapshot.ts';

const by_reason = (count: (reason: DropReason) => number): Record<DropReason, number> =>
  Object.fromEntries(DROP_REASONS.map((reason) => [reason, count(reason)])) as Record<DropReason, number>;

export const NO_SLOTS: SlotSnapshot = { planned: 0, waiting: 0, dropped: by_reason(() => 0), tardy: 0, late: EMPTY };

/** Of one action, as several members have it: the sum. Nothing if none of them has a rate for it. */
export function merge_slots(list: readonly ActionSnapshot[]): Pick<ActionSnapshot, 'slots'> {
  const all = list.flatMap(({ slots }) => slots ?? []);
  if (all.length === 0) return {};
  const sum = (of: (slots: SlotSnapshot) => number): number => all.reduce((sum, slots) => sum + of(slots), 0);
  return {
    slots: {
      planned: sum(({ planned }) => planned),
      waiting: sum(({ waiting }) => waiting),
      dropped: by_reason((reason) => sum(({ dropped }) => dropped[reason])),
      tardy: sum(({ tardy }) => tardy),
      late: merge(...all.map(({ late }) => late)),
    },
  };
}

/** What became of them after `base`; `waiting` is how many wait now. */
export const slots_since = (now: SlotSnapshot, base: SlotSnapshot = NO_SLOTS): SlotSnapshot => ({
  planned: now.planned - base.planned,
  waiting: now.waiting,
  dropped: by_reason((reason) => now.dropped[reason] - base.dropped[reason]),
  tardy: now.tardy - base.tardy,
  late: subtract(now.late, base.late),
});
