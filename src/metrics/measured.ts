/** Back from a final summary to what was measured, so that it can be added up again. */
import { escape_text } from '../foundation/escape.ts';
import { full_name, MAIN, type PlayedGroup } from './groups.ts';
import { decode_hdr } from './hdr.ts';
import { HIGHEST, index_of } from './histogram.ts';
import { add_lost, merge_groups, merge_snapshots, type GroupLost } from './merge-snapshots.ts';
import type { ActionSnapshot, GroupSnapshot, HistogramSnapshot } from './snapshot.ts';
import type { ActionSummary, Latency, Summary } from './summary.ts';
import type { Totals } from './totals.ts';

export interface Measured extends Totals {
  /** rounds since its mark, if it has one */
  readonly mark: Totals | null;
}

/**
 * Reads a summary that has the shape of its schema. The contents of its histograms and instants are checked here. A
 * summary tells only rounds by group: everything else is counted in its first group.
 * @throws Error that says what is wrong
 */
export function measured_of(summary: Summary): Measured {
  const { clients, connections, endpoints, requests, bytes, actions, mark, errors, generator } = summary;
  const { histograms } = connections;
  if (!histograms) throw new Error('its connections have no histograms');
  instant(summary.run.started);
  if (mark) instant(mark.at);
  const { killed, done, created, draining, finished, peak, states, entered } = clients;
  const { attempted, connecting, established, open, open_peak, cancelled, failed, closed, ports_skipped } = connections;
  const { lost: lost_requests, ...calls } = requests;
  const { snapshot, lost } = rounds_of(actions);
  const [first = MAIN] = Object.keys(snapshot.groups);
  const counted: Omit<GroupSnapshot, 'actions'> = {
    clients: { created, killed, done, draining, finished, peak, states, entered },
    connections: {
      attempted,
      connecting,
      established,
      open,
      open_peak,
      cancelled,
      failed,
      closed,
      ports_skipped,
      connect: histogram(histograms.connect, connections.connect_ms),
      handshake: histogram(histograms.handshake, connections.handshake_ms),
    },
    endpoints: Object.fromEntries(endpoints.map(({ address, ...counts }) => [address, counts])),
    requests: calls,
    bytes,
  };
  const counted_lost: Omit<GroupLost, 'running' | 'slots'> = {
    clients: clients.lost,
    connecting: connections.lost_connecting,
    open: connections.lost,
    in_flight: lost_requests,
  };
  return {
    snapshot: {
      groups: { ...snapshot.groups, [first]: { ...(snapshot.groups[first] ?? merge_groups([])), ...counted } },
      errors: Object.fromEntries(
        errors.map(({ code, last_at, ...kind }) => [code, { ...kind, last_at: instant(last_at) }]),
      ),
      generator: { cpu_s: 0, ...generator },
    },
    lost: { ...lost, [first]: { ...(lost[first] ?? add_lost([])), ...counted_lost } },
    mark: mark && rounds_of(mark.actions),
  };
}

/** What the groups of a summary play, from its actions, which are in order. */
export const played_of = (actions: readonly ActionSummary[]): PlayedGroup[] =>
  by_group(actions).map(([name, list]) => ({
    name,
    actions: list.map(({ loop, action, command }) => ({ loop, action, command })),
  }));

function by_group(actions: readonly ActionSummary[]): [string, ActionSummary[]][] {
  const groups = new Map<string, ActionSummary[]>();
  for (const action of actions) {
    const known = groups.get(action.group);
    if (known) known.push(action);
    else groups.set(action.group, [action]);
  }
  return [...groups];
}

/** Of nothing but rounds. */
function rounds_of(actions: readonly ActionSummary[]): Totals {
  const groups = by_group(actions);
  const nothing = merge_groups([]);
  const nothing_lost = add_lost([]);
  return {
    snapshot: {
      ...merge_snapshots([]),
      groups: Object.fromEntries(groups.map(([name, list]) => [name, { ...nothing, actions: list.map(action_of) }])),
    },
    lost: Object.fromEntries(groups.map(([name, list]) => [name, { ...nothing_lost, ...lost_of(list) }])),
  };
}

const lost_of = (actions: readonly ActionSummary[]): Pick<GroupLost, 'running' | 'slots'> => ({
  running: actions.map(({ lost }) => lost),
  ...(actions.some(({ slots }) => slots) && { slots: actions.map(({ slots }) => slots?.lost ?? 0) }),
});

function action_of(action: ActionSummary): ActionSnapshot {
  const { started, running, ok, failed, aborted, service_ms, response_ms, slots, histograms } = action;
  const refuse = (): never => {
    throw new Error(`its action ${escape_text(full_name(action), 200)} has no histograms`);
  };
  if (!histograms) return refuse();
  const service = histogram(histograms.service, service_ms);
  const response = histogram(histograms.response, response_ms);
  const rounds = { started, running, ok, failed, aborted, service, response };
  if (!slots) return rounds;
  const { planned, waiting, dropped, late_ms } = slots;
  const late = histogram(histograms.late ?? refuse(), late_ms);
  // those are of interest in their second only
  return { ...rounds, slots: { planned, waiting, dropped, tardy: 0, late } };
}

/** The buckets from `text`, and the exact sum, min and max, which the encoding lacks, from the times beside it. */
function histogram(text: string, { count, mean, min: min_ms, max: max_ms }: Latency): HistogramSnapshot {
  const { indices, counts } = decode_hdr(text);
  const [min, max] = [min_ms, max_ms].map((ms) => Math.round(ms * 1000)) as [number, number];
  const bucket = (us: number): number => index_of(Math.min(us, HIGHEST));
  const fits =
    counts.reduce((all, one) => all + one, 0) === count &&
    (count === 0 || (indices[0] === bucket(min) && indices.at(-1) === bucket(max)));
  if (!fits) throw new Error('a histogram does not belong to the times beside it');
  return { indices, counts, count, sum: mean * 1000 * count, min, max };
}

/** ms since the epoch */
function instant(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Error(`there is no ${text}`);
  return at;
}
