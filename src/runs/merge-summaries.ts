/** Merges the summaries of segments that ran apart, as if one swarm had held all the clients. Pure. */
import { SwarmError } from '../foundation/errors.ts';
import { escape_text } from '../foundation/escape.ts';
import { measured_of, played_of, type Measured } from '../metrics/measured.ts';
import { MAX_LOST_WORKERS, merge_lost, merge_snapshots, NO_DEAD } from '../metrics/merge-snapshots.ts';
import type { Summary } from '../metrics/summary.ts';
import { summarize_actions, to_summary, type Totals } from '../metrics/totals.ts';
import { cover_of } from '../swarm/plan/segment.ts';

/** between the ids of merged runs */
const AND = '+';

/** A final summary, and the file it came from: faults name it. */
export interface SegmentSummary {
  readonly file: string;
  readonly summary: Summary;
}

export interface Merged {
  readonly summary: Summary;
  /** what the reader should know: segments that are missing, marks that were left out */
  readonly notes: readonly string[];
}

/**
 * One summary of all parts. Counters, gauges and histograms add up, so that counts, min, max and percentiles are those
 * of a single recorder; the mean is so within a µs. Peaks are sums, though the parts may have peaked at different
 * times.
 * @throws SwarmError `bad_summary` for histograms that cannot be read, `summaries_differ` for parts of different swarms
 */
export function merge_summaries(parts: readonly SegmentSummary[]): Merged {
  const { segment, missing } = check_parts(parts);
  const all = parts.map(({ summary }) => summary);
  const measured = parts.map(measure);
  const [first] = all as [Summary];
  const sum = (of: (summary: Summary) => number): number => all.reduce((sum, summary) => sum + of(summary), 0);
  const groups = played_of(first.actions);
  const rates = rates_of(all);
  const merged = to_summary({
    final: true,
    run: run_of(all, segment),
    phase: all.every(({ phase }) => phase === first.phase) ? first.phase : 'stop',
    target: sum(({ target }) => target),
    planned: sum(({ planned }) => planned),
    connect_per_s: sum(({ connect_per_s }) => Math.round(connect_per_s * 1e6)) / 1e6,
    rates,
    saturated_seconds: sum(({ saturated_seconds = 0 }) => saturated_seconds),
    workers: all.flatMap(({ workers }, i) => workers.map((worker) => ({ ...worker, id: `${i + 1}/${worker.id}` }))),
    limits: limits_of(all),
    peaks: { live: sum(({ clients }) => clients.peak), open: sum(({ connections }) => connections.open_peak) },
    groups,
    members: measured.map(({ snapshot }) => snapshot),
    dead: { ...NO_DEAD, lost: merge_lost(measured.map(({ lost }) => lost)), workers: lost_workers_of(all) },
    mark: null,
    interval: null,
    histograms: true,
  });
  const mark = mark_of(all, measured, { groups, rates, histograms: true });
  const resolution = Math.max(...all.map(({ latency_resolution = 0 }) => latency_resolution));
  const summary = {
    ...merged,
    mark,
    ...(resolution > 0 && { latency_resolution: resolution }),
    balanced: merged.balanced && all.every(({ balanced }) => balanced),
    complete: merged.complete && all.every(({ complete }) => complete),
  };
  const notes = missing.map((part) => `no summary of segment ${part} is among them: this is not the whole swarm`);
  if (mark === null && all.some((one) => one.mark !== null))
    notes.push('the marks differ: the merged summary has none');
  return { summary, notes };
}

function measure({ file, summary }: SegmentSummary): Measured {
  try {
    return measured_of(summary);
  } catch (error) {
    throw new SwarmError('bad_summary', { file, reason: (error as Error).message }, error);
  }
}

/** Refuses parts of different swarms. Returns which part of the swarm they are together, and which are missing. */
function check_parts(parts: readonly SegmentSummary[]): { segment: string | null; missing: readonly string[] } {
  const refuse = (a: SegmentSummary, b: SegmentSummary, reason: string): never => {
    throw new SwarmError('summaries_differ', { files: `${a.file} and ${b.file}`, reason });
  };
  const [first] = parts as [SegmentSummary];
  const seen = new Map<string, SegmentSummary>();
  for (const part of parts)
    for (const id of part.summary.run.id.split(AND)) {
      const before = seen.get(id);
      if (before) refuse(before, part, `both hold the run ${escape_text(id, 100)}`);
      seen.set(id, part);
    }
  const same: [string, (summary: Summary) => string][] = [
    ['scripts', ({ run }) => run.script_sha256],
    ['protocol modules', ({ run }) => run.module_sha256],
    ['seeds', ({ run }) => run.seed],
    [
      'actions',
      ({ actions }) =>
        JSON.stringify(actions.map(({ index, command, action, group, loop }) => [index, command, action, group, loop])),
    ],
  ];
  for (const part of parts)
    for (const [what, of] of same)
      if (of(part.summary) !== of(first.summary)) refuse(first, part, `their ${what} differ`);
  const segments = parts.map(({ summary }) => summary.run.segment);
  const cover = cover_of(segments);
  if (!cover) {
    const bad = parts.find(({ summary }) => !cover_of([summary.run.segment]))!;
    throw new SwarmError('bad_summary', { file: bad.file, reason: 'its segment is not valid' });
  }
  if (cover.overlap) {
    const [a, b] = cover.overlap;
    const named = (position: number): string =>
      segments[position] === null ? 'the whole swarm' : `segment ${segments[position]}`;
    refuse(parts[a]!, parts[b]!, `${named(a)} and ${named(b)} have clients in common`);
  }
  return { segment: cover.together, missing: cover.missing };
}

/** Of each action, and of the arrivals in each group, the sum. */
function rates_of(all: readonly Summary[]): Record<string, number> {
  const rates: Record<string, number> = {};
  const add = (key: string, rate_per_s: number | undefined): void => {
    if (rate_per_s !== undefined) rates[key] = Math.round(((rates[key] ?? 0) + rate_per_s) * 1e6) / 1e6;
  };
  for (const { actions, arrivals = [] } of all) {
    for (const { group, index, rate_per_s } of actions) add(`${group}.${index}`, rate_per_s);
    for (const { group, rate_per_s } of arrivals) add(`${group}.arrive`, rate_per_s);
  }
  return rates;
}

function run_of(all: readonly Summary[], segment: string | null): Summary['run'] {
  const [{ run }] = all as [Summary];
  const { script_sha256, module_sha256, seed } = run;
  const list = (of: (run: Summary['run']) => string): string => distinct(all.map((one) => of(one.run))).join(', ');
  return {
    id: all.map((one) => one.run.id).join(AND),
    script_sha256,
    module_sha256,
    seed,
    segment,
    servers: distinct(all.flatMap((one) => one.run.servers)),
    versions: { swarm: list(({ versions }) => versions.swarm), node: list(({ versions }) => versions.node) },
    started: earliest(all.map((one) => one.run.started)),
    seconds: Math.max(...all.map((one) => one.run.seconds)),
  };
}

/** Without `bounds`: those are of one machine each. */
function limits_of(all: readonly Summary[]): Summary['limits'] {
  const limits = all.map((one) => one.limits);
  return {
    capacity: limits.reduce((sum, { capacity }) => sum + capacity, 0),
    open_files_per_process: Math.min(...limits.map((one) => one.open_files_per_process)),
    reserved_files: Math.max(...limits.map((one) => one.reserved_files)),
    why: distinct(limits.map(({ why }) => why)).join('; '),
    bounds: [],
  };
}

function lost_workers_of(all: readonly Summary[]): Summary['lost_workers'] {
  return all
    .flatMap(({ lost_workers }, i) => lost_workers.map((lost) => ({ ...lost, worker: `${i + 1}/${lost.worker}` })))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .slice(-MAX_LOST_WORKERS);
}

/** Null unless all were marked with the same text. */
function mark_of(
  all: readonly Summary[],
  measured: readonly Measured[],
  of_actions: Parameters<typeof summarize_actions>[2],
): Summary['mark'] {
  const marks = all.flatMap(({ mark }) => mark ?? []);
  const [first] = marks;
  if (!first || marks.length < all.length || marks.some(({ text }) => text !== first.text)) return null;
  const parts = measured.map(({ mark }) => mark as Totals);
  const snapshot = merge_snapshots(parts.map((part) => part.snapshot));
  const lost = merge_lost(parts.map((part) => part.lost));
  return {
    text: first.text,
    at: earliest(marks.map(({ at }) => at)),
    seconds: Math.max(...marks.map(({ seconds }) => seconds)),
    actions: summarize_actions({ snapshot, lost }, null, of_actions),
  };
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];

const earliest = (instants: readonly string[]): string =>
  instants.reduce((first, at) => (Date.parse(at) < Date.parse(first) ? at : first));
