/** Back from a final summary to what was measured, so that it can be added up again. */
import { escape_text } from '../foundation/escape.ts';
import { decode_hdr } from './hdr.ts';
import { HIGHEST, index_of } from './histogram.ts';
import { merge_snapshots, type Lost } from './merge-snapshots.ts';
import type { ActionSnapshot, HistogramSnapshot, Snapshot } from './snapshot.ts';
import type { ActionSummary, Latency, Summary } from './summary.ts';

export interface Measured {
  readonly snapshot: Snapshot;
  readonly lost: Lost;
  /** since its mark, if it has one */
  readonly mark: Marked | null;
}

export interface Marked {
  readonly actions: readonly ActionSnapshot[];
  /** rounds lost since the mark, by action */
  readonly lost: readonly number[];
}

/**
 * Reads a summary that has the shape of its schema. The contents of its histograms and instants are checked here.
 * @throws Error that says what is wrong
 */
export function measured_of(summary: Summary): Measured {
  const { clients, connections, endpoints, requests, bytes, actions, mark, errors, generator } = summary;
  const { histograms } = connections;
  if (!histograms) throw new Error('its connections have no histograms');
  instant(summary.run.started);
  if (mark) instant(mark.at);
  const { killed, done, created, draining, peak, states, entered } = clients;
  const { attempted, connecting, established, open, open_peak, cancelled, failed, closed, ports_skipped } = connections;
  const { lost: lost_requests, ...calls } = requests;
  return {
    snapshot: {
      clients: { created, killed, done, draining, peak, states, entered },
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
      actions: actions.map(action_of),
      errors: Object.fromEntries(
        errors.map(({ code, last_at, ...kind }) => [code, { ...kind, last_at: instant(last_at) }]),
      ),
      generator: { cpu_s: 0, ...generator },
    },
    lost: {
      clients: clients.lost,
      connecting: connections.lost_connecting,
      open: connections.lost,
      in_flight: lost_requests,
      running: actions.map(({ lost }) => lost),
    },
    mark: mark && { actions: mark.actions.map(action_of), lost: mark.actions.map(({ lost }) => lost) },
  };
}

export const only_actions = (actions: readonly ActionSnapshot[]): Snapshot => ({ ...merge_snapshots([]), actions });

function action_of(action: ActionSummary): ActionSnapshot {
  const { command, started, running, ok, failed, aborted, service_ms, response_ms, histograms } = action;
  if (!histograms) throw new Error(`its action ${escape_text(command, 100)} has no histograms`);
  const service = histogram(histograms.service, service_ms);
  const response = histogram(histograms.response, response_ms);
  return { started, running, ok, failed, aborted, service, response };
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
