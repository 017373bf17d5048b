/** What the series reads of all that was measured. Only this file knows where it stands there. */
import { EMPTY } from './histogram.ts';
import { name_in_group, type PlayedGroup } from './groups.ts';
import { whole_of } from './merge-snapshots.ts';
import type { ActionSnapshot, Counts, GroupSnapshot, Snapshot } from './snapshot.ts';
import { STATES } from './state.ts';
import type { Totals } from './totals.ts';

/** Counters that a second of the series has as differences; from `sent` on of requests. A new one is a line here. */
const COUNTERS = {
  connected: ({ connections }: GroupSnapshot) => connections.established,
  bytes_sent: ({ bytes }: GroupSnapshot) => bytes.sent,
  bytes_received: ({ bytes }: GroupSnapshot) => bytes.received,
  sent: ({ requests }: GroupSnapshot) => requests.sent,
  ok: ({ requests }: GroupSnapshot) => requests.ok,
  wrong: ({ requests }: GroupSnapshot) => requests.wrong,
  timeout: ({ requests }: GroupSnapshot) => requests.timeout,
  noreply: ({ requests }: GroupSnapshot) => requests.noreply,
} as const;
export type CounterName = keyof typeof COUNTERS;
export const COUNTER_NAMES = Object.keys(COUNTERS) as CounterName[];

/** Numbers of which a second has the value at its end, and of several seconds also the highest. */
const GAUGES = {
  /** connections */
  open: (snapshot: Snapshot) => whole_of(snapshot).connections.open,
  /** of the generator: share of one core */
  cpu: ({ generator }: Snapshot) => generator.cpu,
  /** of the generator */
  lag_p99_ms: ({ generator }: Snapshot) => generator.lag_p99_ms,
} as const;
export type GaugeName = keyof typeof GAUGES;
export const GAUGE_NAMES = Object.keys(GAUGES) as GaugeName[];

/** Which action of which group. */
export interface ActionName {
  readonly group: string;
  /** `[loop.]action`: what it is called there */
  readonly name: string;
}

/** An action by its place in its group, since a name may stand there twice. */
export interface ActionPlace extends ActionName {
  readonly index: number;
}

/** Cumulative. */
export interface Counted {
  /** in the order of {@link COUNTER_NAMES} */
  readonly counters: readonly number[];
  /** in the order of {@link GAUGE_NAMES} */
  readonly gauges: readonly number[];
  /** clients in the order of {@link STATES} */
  readonly states: readonly number[];
  readonly connect_failed: Counts;
  readonly places: readonly ActionPlace[];
  /** at these places */
  readonly actions: readonly ActionSnapshot[];
}

export const NO_ACTION: ActionSnapshot = {
  started: 0,
  running: 0,
  ok: 0,
  failed: {},
  aborted: 0,
  service: EMPTY,
  response: EMPTY,
};

/** One that nobody measured yet counts 0. */
export function counted_of({ snapshot }: Totals, places: readonly ActionPlace[]): Counted {
  const whole = whole_of(snapshot);
  return {
    counters: COUNTER_NAMES.map((name) => COUNTERS[name](whole)),
    gauges: GAUGE_NAMES.map((name) => GAUGES[name](snapshot)),
    states: STATES.map((state) => whole.clients.states[state]),
    connect_failed: whole.connections.failed,
    places,
    actions: places.map(({ group, index }) => snapshot.groups[group]?.actions[index] ?? NO_ACTION),
  };
}

/** Of all groups, one after the other. */
export const action_names = (groups: readonly PlayedGroup[]): ActionName[] =>
  groups.flatMap(({ name: group, actions }) => actions.map((action) => ({ group, name: name_in_group(action) })));

/** `actions`: those of a group in the order of its script. */
export function places_of(actions: readonly ActionName[]): ActionPlace[] {
  const next = new Map<string, number>();
  return actions.map(({ group, name }) => {
    const index = next.get(group) ?? 0;
    next.set(group, index + 1);
    return { group, index, name };
  });
}
