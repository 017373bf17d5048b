/** From what the members measured to the summary that everybody reads (docs/summary.md). */
import { check_books, check_groups, booked_counts } from './books.ts';
import { CONNECTED, type PlayedGroup } from './groups.ts';
import { encode_hdr } from './hdr.ts';
import { EMPTY, latency_ms, merge, resolution, RESOLUTION, subtract } from './histogram.ts';
import { add_lost, merge_actions, merge_snapshots, whole_of, type Dead, type Lost } from './merge-snapshots.ts';
import { histograms_of } from './packed.ts';
import { slots_since } from './slots.ts';
import type { ActionSnapshot, Counts, HistogramSnapshot, SlotSnapshot, Snapshot } from './snapshot.ts';
import type { ActionSummary, ArrivalsSummary, Latency, LoadSummary, SlotsSummary, Summary } from './summary.ts';

/** Everything measured since the start of the run, by members alive and dead. */
export interface Totals {
  readonly snapshot: Snapshot;
  readonly lost: Lost;
}

/** A moment that the operator marked, and everything measured until then. */
export interface Mark {
  readonly text: string;
  /** ms since the epoch */
  readonly at_ms: number;
  /** `run.seconds` at that moment */
  readonly run_seconds: number;
  readonly base: Totals;
}

/** What the coordinator knows besides the measurements. Fields of the same name go into the summary unchanged. */
export interface SummaryInput extends Pick<
  Summary,
  | 'final'
  | 'run'
  | 'phase'
  | 'target'
  | 'planned'
  | 'connect_per_s'
  | 'workers'
  | 'limits'
  | 'agents'
  | 'possibly_open'
  | 'waiting'
  | 'saturated_seconds'
> {
  /** null or left out: none was begun */
  readonly load?: LoadSummary | null;
  /** the peaks of the whole swarm, as the coordinator saw them */
  readonly peaks: { readonly live: number; readonly open: number };
  readonly groups: readonly PlayedGroup[];
  /** slots per second that are asked for now, by `group.index of the action` or `group.arrive`; left out: nobody knows */
  readonly rates?: Readonly<Record<string, number>>;
  /** the newest snapshot of each incarnation that was not buried */
  readonly members: readonly Snapshot[];
  readonly dead: Dead;
  /** of `members` and `dead`, if somebody has added them up already */
  readonly totals?: Totals;
  readonly mark: Mark | null;
  /** everything measured until the last state line, for `interval`; null leaves it out */
  readonly interval: Totals | null;
  /** with encoded histograms: a few KB and about a millisecond each */
  readonly histograms: boolean;
}

export function totals_of(members: readonly Snapshot[], dead: Dead): Totals {
  return { snapshot: merge_snapshots([...members, dead.snapshot]), lost: dead.lost };
}

/** The summary of everything. A final one is `balanced` only if nothing is going on any more. */
export function to_summary(input: SummaryInput): Summary {
  const totals = input.totals ?? totals_of(input.members, input.dead);
  const { snapshot, lost } = totals;
  const { errors, generator } = snapshot;
  const whole = whole_of(snapshot);
  const { clients, connections, endpoints, requests } = booked_counts(whole, add_lost(Object.values(lost)));
  const { connect, handshake } = whole.connections;
  const actions = summarize_actions(totals, null, input);
  const arrivals = summarize_arrivals(totals, input);
  const summary: Summary = {
    format: 'swarm-summary/1',
    final: input.final,
    run: input.run,
    phase: input.phase,
    target: input.target,
    planned: input.planned,
    ...(input.load && { load: input.load }),
    connect_per_s: input.connect_per_s,
    clients: { ...clients, peak: Math.max(input.peaks.live, clients.live) },
    ...(arrivals.length > 0 && { arrivals }),
    connections: {
      ...connections,
      ready: Math.max(0, connections.open - greeting(actions)),
      open_peak: Math.max(input.peaks.open, connections.open),
      connect_ms: latency_ms(connect),
      handshake_ms: latency_ms(handshake),
      ...(input.histograms && { histograms: { connect: encode_hdr(connect), handshake: encode_hdr(handshake) } }),
    },
    endpoints,
    requests,
    bytes: whole.bytes,
    actions,
    ...resolution_of(histograms_of(snapshot)),
    ...(input.interval && interval_of(totals, input.interval)),
    mark: input.mark && {
      text: input.mark.text,
      at: new Date(input.mark.at_ms).toISOString(),
      seconds: round3(input.run.seconds - input.mark.run_seconds),
      actions: summarize_actions(totals, input.mark.base, input),
    },
    errors: Object.entries(errors)
      .map(([code, { last_at, ...kind }]) => ({ code, ...kind, last_at: new Date(last_at).toISOString() }))
      .sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1)),
    workers: input.workers,
    ...(input.agents && { agents: input.agents, possibly_open: input.possibly_open ?? 0 }),
    ...(input.waiting?.length && { waiting: input.waiting }),
    limits: input.limits,
    generator: { cpu: round3(generator.cpu), rss_bytes: generator.rss_bytes, lag_p99_ms: generator.lag_p99_ms },
    ...(input.saturated_seconds && { saturated_seconds: input.saturated_seconds }),
    lost_workers: [...input.dead.workers],
    balanced: true,
    complete: input.dead.workers.length === 0,
  };
  const faults = [...check_books(summary, input.final), ...check_groups(snapshot, lost, input.final)];
  summary.balanced = faults.length === 0;
  return summary;
}

/**
 * What each action did since the start, or since `base`. Since a base `started` does not add up with the rest: rounds
 * that were already running then ended after it. So it is with slots that waited.
 */
export function summarize_actions(
  now: Totals,
  base: Totals | null,
  { groups, rates = {}, histograms }: Pick<SummaryInput, 'groups' | 'rates' | 'histograms'>,
): ActionSummary[] {
  type Losses = 'running' | 'slots';
  const lost_until = ({ lost }: Totals, what: Losses, group: string, i: number): number =>
    lost[group]?.[what]?.[i] ?? 0;
  const lost_in = (what: Losses, group: string, i: number): number =>
    lost_until(now, what, group, i) - (base ? lost_until(base, what, group, i) : 0);
  return groups.flatMap(({ name: group, actions }) =>
    actions.map(({ loop, action: name, command }, i): ActionSummary => {
      const whole = now.snapshot.groups[group]?.actions[i] ?? merge_actions([]);
      const before = base?.snapshot.groups[group]?.actions[i];
      const action = before ? since(whole, before) : whole;
      const { service, response, slots, ...counts } = action;
      const rate_per_s = rates[`${group}.${i}`];
      return {
        index: command === CONNECTED ? -1 : i,
        command,
        action: name,
        group,
        loop,
        ...counts,
        lost: lost_in('running', group, i),
        service_ms: latency_ms(service),
        response_ms: latency_ms(response),
        ...(slots && { slots: slots_summary(slots, action.started, lost_in('slots', group, i)) }),
        ...(rate_per_s !== undefined && { rate_per_s }),
        ...(histograms && { histograms: encoded(action) }),
      };
    }),
  );
}

const summarize_arrivals = (
  { snapshot, lost }: Totals,
  { rates = {}, histograms }: Pick<SummaryInput, 'rates' | 'histograms'>,
): ArrivalsSummary[] =>
  Object.entries(snapshot.groups).flatMap(([group, { arrivals }]) => {
    if (!arrivals) return [];
    const { late, ...counts } = arrivals;
    const rate_per_s = rates[`${group}.arrive`];
    return [
      {
        group,
        ...counts,
        lost: lost[group]?.arrivals ?? 0,
        late_ms: latency_ms(late),
        ...(rate_per_s !== undefined && { rate_per_s }),
        ...(histograms && { histograms: { late: encode_hdr(late) } }),
      },
    ];
  });

const slots_summary = (
  { planned, waiting, dropped, late }: SlotSnapshot,
  started: number,
  lost: number,
): SlotsSummary => ({ planned, started, waiting, dropped, lost, late_ms: latency_ms(late) });

const encoded = ({ service, response, slots }: ActionSnapshot): NonNullable<ActionSummary['histograms']> => ({
  service: encode_hdr(service),
  response: encode_hdr(response),
  ...(slots && { late: encode_hdr(slots.late) }),
});

/** How many connections `connected` runs on. */
const greeting = (actions: readonly ActionSummary[]): number =>
  actions.reduce((all, { index, running }) => (index < 0 ? all + running : all), 0);

function resolution_of(histograms: readonly HistogramSnapshot[]): Pick<Summary, 'latency_resolution'> {
  const coarsest = Math.max(...histograms.map((histogram) => resolution(histogram)));
  return coarsest > RESOLUTION ? { latency_resolution: coarsest } : {};
}

function interval_of({ snapshot }: Totals, base: Totals): Pick<Summary, 'interval'> {
  const parts = Object.entries(snapshot.groups).flatMap(([name, { actions }]) =>
    actions.map((action, i) => ({ action, before: base.snapshot.groups[name]?.actions[i] })),
  );
  const times = (of: (action: ActionSnapshot) => HistogramSnapshot | undefined): Latency =>
    latency_ms(
      merge(...parts.map(({ action, before }) => subtract(of(action) ?? EMPTY, (before && of(before)) ?? EMPTY))),
    );
  const { count, p50, p99 } = times(({ service }) => service);
  if (count === 0) return {};
  if (!parts.some(({ action }) => action.slots)) return { interval: { p50, p99 } };
  const response = times((action) => action.response);
  const late = times(({ slots }) => slots?.late);
  const rated = { response_p50: response.p50, response_p99: response.p99, late_p99: late.p99 };
  return { interval: { p50, p99, ...rated } };
}

function since(now: ActionSnapshot, base: ActionSnapshot): ActionSnapshot {
  const failed: Counts = Object.fromEntries(
    Object.entries(now.failed)
      .map(([code, count]): [string, number] => [code, count - (base.failed[code] ?? 0)])
      .filter(([, count]) => count > 0),
  );
  return {
    started: now.started - base.started,
    running: now.running,
    ok: now.ok - base.ok,
    failed,
    aborted: now.aborted - base.aborted,
    service: subtract(now.service, base.service),
    response: subtract(now.response, base.response),
    ...(now.slots && { slots: slots_since(now.slots, base.slots) }),
  };
}

const round3 = (value: number): number => Math.round(value * 1000) / 1000;
