/** What the daemon shows unasked: the state every --report-every, and the table at the end. Pure: Summary to text. */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import { full_name } from '../metrics/groups.ts';
import type { Summary } from '../metrics/summary.ts';
import { is_played, load_line } from './load-lines.ts';
import { SLOT_HEAD, SLOT_LEFT, slot_rates, slot_rows, slot_status } from './slot-lines.ts';
import * as answers from './tables.ts';

const { ms, text_of } = answers;

const error_count = (s: Summary): number => s.errors.reduce((n, error) => n + error.count, 0);
const message_count = (s: Summary): number => s.requests.ok + s.requests.noreply;

const both_times = (service: Percentiles, response: Percentiles): string =>
  `service p50 ${ms(service.p50)} p99 ${ms(service.p99)}, response p50 ${ms(response.p50)} p99 ${ms(response.p99)} ms`;
type Percentiles = { readonly p50: number; readonly p99: number };

function interval_part(interval: NonNullable<Summary['interval']>): string {
  const { p50, p99, response_p50, response_p99 } = interval;
  if (response_p50 === undefined || response_p99 === undefined) return `p50 ${ms(p50)} p99 ${ms(p99)} ms`;
  return both_times({ p50, p99 }, { p50: response_p50, p99: response_p99 });
}

/**
 * p50 and p99 of the last interval if the summary has them, else of the busiest action since the start, and it says so.
 * Where an action has a rate, those of the response times stand beside those of the service times.
 */
function latency_part(s: Summary): string {
  if (s.interval) return interval_part(s.interval);
  const busiest = s.actions.reduce<Summary['actions'][number] | null>(
    (most, action) => (action.service_ms.count > (most?.service_ms.count ?? 0) ? action : most),
    null,
  );
  if (!busiest) return 'p50 - p99 - ms';
  const { service_ms, response_ms, slots } = busiest;
  const times = slots ? both_times(service_ms, response_ms) : `p50 ${ms(service_ms.p50)} p99 ${ms(service_ms.p99)} ms`;
  return `${times} (${text_of(full_name(busiest))}, since the start)`;
}

/**
 * How many and how fast, what becomes of slots if there are any, where the load is while one is played, then the two
 * lines of the original. Rates are over the time since `before`, or the start.
 */
export function state_line(now: Summary, before: Summary | null, colour: boolean): string[] {
  const paint = picocolors.createColors(colour);
  const elapsed = now.run.seconds - (before?.run.seconds ?? 0);
  const rate = (count: (s: Summary) => number): number =>
    elapsed > 0 ? (count(now) - (before ? count(before) : 0)) / elapsed : 0;
  const errors_per_s = rate(error_count);
  const errors = `${errors_per_s.toFixed(1)} errors/s`;
  const saturated_s = (now.saturated_seconds ?? 0) - (before?.saturated_seconds ?? 0);
  const slots = slot_rates(now, before);
  return [
    [
      paint.bold(`${now.phase} ${Math.round(now.run.seconds)} s`),
      `target ${now.target}, live ${now.clients.live}, open ${paint.green(String(now.connections.open))}, ready ${now.connections.ready}`,
      `${rate(message_count).toFixed(1)} messages/s`,
      errors_per_s > 0 ? paint.red(errors) : errors,
      latency_part(now),
      ...(saturated_s > 0 ? [paint.yellow(`saturated ${saturated_s} s`)] : []),
    ].join(' | '),
    ...(slots ? [`  ${slots.are_dropped ? paint.red(slots.text) : slots.text}`] : []),
    ...(now.load && is_played(now.load) ? [`  ${load_line(now.load)}`] : []),
    `  ${answers.realtime_line(now)}`,
    paint.dim(`  ${answers.aggregates_line(now)}`),
  ];
}

/** The final summary for people: a few lines, then actions, errors and workers as tables. No newline at the end. */
export function final_table(s: Summary, colour: boolean): string {
  const paint = picocolors.createColors(colour);
  const table = (
    head: readonly string[],
    rows: readonly (readonly (string | number)[])[],
    left: readonly number[],
  ): string => {
    const made = new Table({
      head: head.map((title) => paint.cyan(title)),
      colAligns: head.map((_, i) => (left.includes(i) ? 'left' : 'right')),
      style: { head: [], border: [], compact: true },
    });
    made.push(...rows.map((row) => [...row]));
    return made.toString();
  };
  const { clients: c, connections: n } = s;
  const part = (title: string, body: string): string[] => ['', paint.bold(title), body];
  const slots = slot_rows(s.actions);
  const slots_part =
    slots.length === 0 ? [] : part('Slots of actions with a rate, late in ms', table(SLOT_HEAD, slots, SLOT_LEFT));
  return [
    paint.bold(
      `swarm ${text_of(s.run.versions.swarm)}, ${answers.segment_part(s)}run ${text_of(s.run.id)}: ${answers.seconds(s.run.seconds)}`,
    ),
    ...answers.status_lines(s).slice(1, -1),
    ...slot_status(s),
    `clients: created ${c.created}, killed ${c.killed.decr + c.killed.stop} (decr ${c.killed.decr}, stop ${c.killed.stop}), done ${c.done}, lost ${c.lost}, peak ${c.peak}`,
    `connect failures: ${answers.counts_line(n.failed)}`,
    `closed: ${answers.counts_line(n.closed)}`,
    ...part(`Actions, ${answers.times_text(s)}`, table(answers.ACTION_HEAD, s.actions.map(answers.action_row), [0])),
    ...slots_part,
    ...(s.errors.length === 0 ? [] : part('Errors', table(answers.error_head(s), answers.error_rows(s), [0, 2, 3, 4]))),
    ...(s.workers.length < 2 ? [] : part('Workers', table(answers.WORKER_HEAD, answers.worker_rows(s), [0, 1]))),
    '',
    ...s.lost_workers.map((w) =>
      paint.yellow(
        `${w.may_live ? `agent ${text_of(w.worker)} did not answer, and was given up at` : `worker ${text_of(w.worker)} died at`} ${w.at}: up to ${Math.round(w.silent_ms)} ms of its counts are missing`,
      ),
    ),
    ...(s.possibly_open
      ? [paint.yellow(`possibly open yet: ${s.possibly_open} connections of agents that did not answer`)]
      : []),
    ...(s.saturated_seconds
      ? [paint.yellow(`saturated: swarm itself was the bottleneck in ${s.saturated_seconds} of these seconds`)]
      : []),
    s.balanced
      ? paint.green('the books balance')
      : paint.red('the books do NOT balance: please report it with the log'),
    ...(s.complete ? [] : [paint.yellow('incomplete: some counts were lost with their worker')]),
  ].join('\n');
}
