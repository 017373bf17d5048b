/** The console's answers: Summary to lines. Pure. Every text that came from outside is escaped and cut. */
import { escape_json, escape_text } from '../foundation/escape.ts';
import { full_name } from '../metrics/groups.ts';
import { load_line } from './load-lines.ts';
import type { ActionSummary, AgentSummary, Latency, Summary, WaitingClients } from '../metrics/summary.ts';

const MAX_TEXT = 200;
/** characters of why an agent cannot play: what its worker died of, and then the place in a module */
const MAX_REASON = 500;
/** agents whose trouble `status` shows */
const MAX_WHY = 5;
/** agents that one line of `errors` names */
const MAX_NAMED = 3;
export const text_of = (text: string): string => escape_text(text, MAX_TEXT);

export const sum_of_counts = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0);

/** Milliseconds with about three digits: 0.034, 4.21, 56.7, 1234. */
export function ms(value: number): string {
  return value.toFixed(value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

export function seconds(value: number): string {
  return `${value.toFixed(1)} s`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** `name: n, …` for counts that are not 0, or `empty`, as in the original. */
export function counts_line(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, n]) => n !== 0);
  return parts.map(([name, n]) => `${text_of(name)}: ${n}`).join(', ') || 'empty';
}

export function realtime_line(s: Summary): string {
  return `Realtime: total: ${s.clients.live}, ${counts_line(s.clients.states)}`;
}

export function aggregates_line(s: Summary): string {
  return `Aggregates: ${counts_line(s.clients.entered)}`;
}

/** Rows as aligned columns: those in `left` to the left, all others to the right. */
export function aligned(rows: readonly (readonly (string | number)[])[], left: readonly number[]): string[] {
  const width = (column: number): number => Math.max(...rows.map((row) => String(row[column] ?? '').length));
  return rows.map((row) =>
    row
      .map((cell, i) => (left.includes(i) ? String(cell).padEnd(width(i)) : String(cell).padStart(width(i))))
      .join('  ')
      .trimEnd(),
  );
}

/** `segment 2/5, `, or nothing for the whole. */
export const segment_part = ({ run }: Summary): string =>
  run.segment === null ? '' : `segment ${text_of(run.segment)}, `;

export function status_lines(s: Summary): string[] {
  const { clients: c, connections: n, requests: r } = s;
  return [
    ...(s.engine_away ? [`engine away since ${s.engine_away.since}, figures of ${s.engine_away.figures_of}`] : []),
    `${s.phase}, ${seconds(s.run.seconds)} since the start, ${segment_part(s)}servers ${text_of(s.run.servers.join(' '))}`,
    `target ${s.target}, planned ${s.planned}, live ${c.live} (draining ${c.draining})${c.finished > 0 ? `, finished ${c.finished}` : ''}, open ${n.open} (peak ${n.open_peak}), ready ${n.ready}, connect rate ${s.connect_per_s} per second`,
    ...(s.load ? [load_line(s.load)] : []),
    realtime_line(s),
    aggregates_line(s),
    `connections: attempted ${n.attempted}, failed ${sum_of_counts(n.failed)}, established ${n.established}, closed ${sum_of_counts(n.closed)}`,
    `requests: sent ${r.sent}, ok ${r.ok}, wrong ${r.wrong}, timeout ${r.timeout}, aborted ${r.aborted}, noreply ${r.noreply}`,
    `bytes: sent ${s.bytes.sent}, received ${s.bytes.received}`,
    `generator: cpu ${s.generator.cpu.toFixed(2)} cores, memory ${mebibytes(s.generator.rss_bytes)}, lag p99 ${ms(s.generator.lag_p99_ms)} ms`,
    ...(s.agents === undefined ? [] : [agents_line(s.agents, s.possibly_open ?? 0)]),
    ...(s.waiting ?? []).slice(0, MAX_WHY).map(waiting_line),
  ];
}

const waiting_line = ({ clients, label }: WaitingClients): string =>
  `waiting: ${clients} ${clients === 1 ? 'client' : 'clients'} for ${label === null ? 'more agents' : `an agent with the label ${text_of(label)} that has room`}`;

/** Why agents do not hold their share, for the first `most` of them. */
export function why_lines({ agents = [] }: Summary, most = MAX_WHY): string[] {
  const lines = agents.filter((a) => a.why !== '').map((a) => `${text_of(a.id)}: ${escape_text(a.why, MAX_REASON)}`);
  return lines.length <= most ? lines : [...lines.slice(0, most), `and ${lines.length - most} more, see \`agents\``];
}

/** `agents: 3 (2 ok, 1 suspect)` */
function agents_line(agents: readonly AgentSummary[], possibly_open: number): string {
  const kinds = [...new Set(agents.map(({ health }) => health))].sort();
  const named = kinds.map((kind) => `${agents.filter(({ health }) => health === kind).length} ${kind}`);
  const unsure = possibly_open > 0 ? `, possibly open ${possibly_open} more` : '';
  return `agents: ${agents.length}${named.length > 0 ? ` (${named.join(', ')})` : ''}${unsure}`;
}

export function status_json(s: Summary): string {
  return escape_json(JSON.stringify(s));
}

const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'max'] as const satisfies (keyof Latency)[];

export const ACTION_HEAD = [
  'action',
  ...['started', 'running', 'ok', 'failed', 'aborted'],
  ...['service', 'response'].flatMap((time) => PERCENTILES.map((p) => (p === 'p50' ? `${time} p50` : p))),
];

/** Its name in the run, behind its place in its group if it has one. */
export const numbered = (a: ActionSummary): string => `${a.index < 0 ? '' : `${a.index} `}${text_of(full_name(a))}`;

export function action_row(a: ActionSummary): (string | number)[] {
  return [
    numbered(a),
    ...[a.started, a.running, a.ok, sum_of_counts(a.failed), a.aborted],
    ...[a.service_ms, a.response_ms].flatMap((time) => PERCENTILES.map((p) => ms(time[p]))),
  ];
}

/** The unit of a table's times, and how exact they are. */
export function times_text({ latency_resolution: rough }: Summary): string {
  const said = rough === undefined ? '' : `, percentiles up to ${Number((100 * rough).toPrecision(2))} % too high`;
  return `service and response in ms${said}`;
}

/** A line that says which rounds are counted, then a table; times in ms. */
export function action_lines(s: Summary): string[] {
  const { mark } = s;
  const named = mark?.text ? ` "${text_of(mark.text)}"` : '';
  const since = mark
    ? `since the mark${named} at ${mark.at}, ${seconds(mark.seconds)}`
    : `since the start, ${seconds(s.run.seconds)}`;
  const rows = (mark?.actions ?? s.actions).map(action_row);
  return [`${since}; ${times_text(s)}`, ...aligned([ACTION_HEAD, ...rows], [0])];
}

/** In a swarm of many machines the table also names the agents with most of each error. */
export const error_head = ({ agents }: Summary): string[] => [
  ...['code', 'count', 'last at'],
  ...(agents ? ['agents'] : []),
  'last text',
];

export function error_rows(s: Summary): (string | number)[][] {
  return s.errors.map((e) => [
    text_of(e.code),
    e.count,
    e.last_at,
    ...(s.agents ? [whose(s.agents, e.code)] : []),
    text_of(e.last) + (e.sample === undefined ? '' : ` | ${text_of(e.sample)}`),
  ]);
}

/** `agent-02 1200, agent-01 45, 3 more` */
function whose(agents: readonly AgentSummary[], code: string): string {
  const all = agents.filter(({ errors }) => (errors[code] ?? 0) > 0).sort((a, b) => b.errors[code]! - a.errors[code]!);
  const named = all.slice(0, MAX_NAMED).map(({ id, errors }) => `${text_of(id)} ${errors[code]}`);
  return [...named, ...(all.length > MAX_NAMED ? [`${all.length - MAX_NAMED} more`] : [])].join(', ');
}

export function error_lines(s: Summary): string[] {
  return s.errors.length === 0 ? [] : aligned([error_head(s), ...error_rows(s)], [0, 2, 3, 4]);
}

export const WORKER_HEAD = [
  'worker',
  'state',
  'pid',
  'live',
  'open',
  'capacity',
  'cpu',
  'memory',
  'lag p99 ms',
  'silent ms',
];

export function worker_rows(s: Summary): (string | number)[][] {
  return s.workers.map((w) => [
    ...[text_of(w.id), w.state, w.pid, w.live, w.open, w.capacity],
    ...[w.cpu.toFixed(2), mebibytes(w.rss_bytes), ms(w.lag_p99_ms), Math.round(w.silent_ms)],
  ]);
}

export function worker_lines(s: Summary): string[] {
  return aligned([WORKER_HEAD, ...worker_rows(s)], [0, 1]);
}

const AGENT_HEAD = [
  ...[
    'agent',
    'host',
    'health',
    'workers',
    'capacity',
    'share',
    'live',
    'open',
    'acting',
    'standby',
    'backoff',
    'fatal',
  ],
  ...['errors', 'cpu', 'lag p99', 'clock', 'silent', 'swarm', 'labels'],
];

/** The machines of a swarm of many: `cpu` in cores, `clock` against this coordinator's. */
export function agent_lines(s: Summary): string[] {
  const agents = s.agents ?? [];
  const rows = agents.map((a) => [
    ...[a.id, text_of(a.host), a.health, a.workers, a.capacity, a.share, a.live, a.open],
    ...[a.states.acting, a.states.standby, a.states.backoff, a.states.fatal],
    ...[sum_of_counts(a.errors), a.cpu.toFixed(2), `${ms(a.lag_p99_ms)} ms`],
    ...[a.offset_ms === null ? '' : `${a.offset_ms} ms`, seconds(a.silent_ms / 1000)],
    ...[text_of(a.swarm), text_of(a.labels.join(','))],
  ]);
  if (s.agents === undefined) return ['this swarm has one machine: `swarm run --join` makes one of many'];
  const why = why_lines(s, Infinity);
  const unsure = s.possibly_open
    ? [`possibly open: ${s.possibly_open} connections of agents that were silent for too long`]
    : [];
  return [...aligned([AGENT_HEAD, ...rows], [0, 1, 2, 17, 18]), ...why, ...unsure];
}

/** Shown when there are no workers. */
export const ONE_PROCESS =
  'the console shares one process with all clients: a server that sends without end holds it up; --workers 1 against servers you do not trust';

export function limit_lines(s: Summary): string[] {
  const { capacity, open_files_per_process, reserved_files, why } = s.limits;
  return [
    `capacity ${capacity} clients: ${text_of(why)}`,
    `open files ${open_files_per_process} per process, ${reserved_files} of them reserved for swarm itself`,
    ...bound_lines(s.limits.bounds),
    ...(s.workers.some(({ id }) => id === 'local') ? [ONE_PROCESS] : []),
  ];
}

const BOUND_HEAD = ['what', 'connections', 'why', 'to lift it'];

/** Empty without bounds; `~` marks an estimate. */
export function bound_lines(bounds: Summary['limits']['bounds']): string[] {
  const rows = bounds.map(({ what, connections, hard, why, lift }) => [
    ...[what, hard ? connections : `~${connections}`, why, lift],
  ]);
  return rows.length === 0 ? [] : aligned([BOUND_HEAD, ...rows], [0, 2, 3]);
}
