/** Some seconds of the series, for those who read it. */
import { COUNTER_NAMES, GAUGE_NAMES, type ActionPlace, type CounterName, type GaugeName } from './counted.ts';
import { unpack_actions, unpack_head, unpack_members } from './row-data.ts';
import type { ShelfRow } from './row-shelf.ts';
import { unpack_slots, type SlotData } from './row-slots.ts';
import { to_histogram } from './rough.ts';
import type { SaturatedBy } from './saturation.ts';
import type { SeriesNames } from './series-names.ts';
import { DROP_REASONS, type Counts, type DropReason, type HistogramSnapshot } from './snapshot.ts';
import { STATES, type State } from './state.ts';

/** What an action did. Times are of the rounds that ended ok, with 2 significant digits. */
export interface SeriesAction extends ActionPlace {
  readonly started: number;
  readonly ok: number;
  readonly failed: Counts;
  readonly aborted: number;
  readonly service: HistogramSnapshot;
  readonly response: HistogramSnapshot;
}

/** What became of the slots of a rated action. */
export interface SeriesSlots extends ActionPlace {
  /** whose instant came */
  readonly planned: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** of those that were started */
  readonly late: HistogramSnapshot;
}

/** A worker, or an agent, at the end of the row. */
export interface SeriesMember {
  readonly id: string;
  readonly open: number;
  /** share of one core */
  readonly cpu: number;
  readonly lag_p99_ms: number;
}

/**
 * What happened in these seconds, and how it was at the end of them. Counts are below 0 when what a member had told is
 * gone, so that sums stay right.
 */
export interface SeriesRow {
  /** grows; a row takes the place of those read before whose seconds it has */
  readonly n: number;
  /** its first second of the run, from 0 */
  readonly second: number;
  readonly length_s: number;
  /** seconds of these in which nobody looked: what happened in them is counted here, nobody knows in which of them */
  readonly gap_s: number;
  /** clients */
  readonly states: Readonly<Record<State, number>>;
  readonly gauges: Readonly<Record<GaugeName, number>>;
  /** the highest of each gauge at the end of one of its seconds */
  readonly highest: Readonly<Record<GaugeName, number>>;
  readonly counters: Readonly<Record<CounterName, number>>;
  readonly connect_failed: Counts;
  /** of all actions together; `response`: of those that ended ok */
  readonly rounds: { readonly started: number; readonly ok: number; readonly failed: number; readonly aborted: number };
  readonly response: HistogramSnapshot;
  /** by member: of so many seconds its report is missing */
  readonly not_told: Counts;
  /** Unpacked at each call. */
  readonly members: () => SeriesMember[];
  /** Those in which something happened, unpacked at each call. */
  readonly actions: () => SeriesAction[];
  /** seconds of these in which swarm was saturated, and by what */
  readonly saturated_s: number;
  readonly saturated_by: readonly SaturatedBy[];
  /** Of the rated actions of which slots came, were dropped or started. */
  readonly slots: readonly SeriesSlots[];
}

/** `level`: see rough.ts */
export function row_of({ n, from, to, bytes, slots }: ShelfRow, names: SeriesNames, level: number): SeriesRow {
  const { head, at } = unpack_head(bytes);
  const promised = unpack_slots(slots);
  const [started, ok, failed, aborted] = head.rounds as [number, number, number, number];
  return {
    n,
    second: from,
    length_s: to - from,
    gap_s: head.gap_s,
    states: record(STATES, head.states),
    gauges: record(GAUGE_NAMES, head.gauges),
    highest: record(GAUGE_NAMES, head.highest),
    counters: record(COUNTER_NAMES, head.counters),
    connect_failed: names.codes.named(head.connect_failed),
    rounds: { started, ok, failed, aborted },
    response: to_histogram(head.response, level),
    not_told: names.members.named(head.not_told),
    members: () => members_of(head.members, names),
    actions: () => actions_of(bytes, at, names, level),
    saturated_s: promised.saturated_s,
    saturated_by: promised.saturated_by,
    slots: [...promised.slots].map(([number, data]) => slots_of(names.actions.name_of(number), data, level)),
  };
}

export const slots_of = (place: ActionPlace, { planned, dropped, late }: SlotData, level: number): SeriesSlots => ({
  ...place,
  planned,
  dropped: record(DROP_REASONS, dropped),
  late: to_histogram(late, level),
});

const members_of = (bytes: Uint8Array, names: SeriesNames): SeriesMember[] =>
  unpack_members(bytes).map(({ member, ...gauges }) => ({ id: names.members.name_of(member), ...gauges }));

function actions_of(bytes: Uint8Array, at: number, names: SeriesNames, level: number): SeriesAction[] {
  return [...unpack_actions(bytes, at)].map(([number, { failed, service, response, ...counts }]) => ({
    ...names.actions.name_of(number),
    ...counts,
    failed: names.codes.named(failed),
    service: to_histogram(service, level),
    response: to_histogram(response, level),
  }));
}

function record<K extends string>(names: readonly K[], values: readonly number[]): Record<K, number> {
  const named = {} as Record<K, number>;
  names.forEach((name, i) => (named[name] = values[i]!));
  return named;
}
