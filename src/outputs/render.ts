/** What the daemon shows unasked: the state every --report-every, and the table at the end. Pure: Summary to text. */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import { full_name } from '../metrics/groups.ts';
import type { Summary } from '../metrics/summary.ts';
import { is_played, load_line } from './load-lines.ts';
import * as answers from './tables.ts';

const { ms, text_of } = answers;

const error_count = (s: Summary): number => s.errors.reduce((n, error) => n + error.count, 0);
const message_count = (s: Summary): number => s.requests.ok + s.requests.noreply;

/**
 * p50 and p99 of the last interval if the summary has them, else of the busiest action since the start, and it says so.
 */
function latency_part(s: Summary): string {
  if (s.interval) return `p50 ${ms(s.interval.p50)} p99 ${ms(s.interval.p99)} ms`;
  const busiest = s.actions.reduce<Summary['actions'][number] | null>(
    (most, action) => (action.service_ms.count > (most?.service_ms.count ?? 0) ? action : most),
    null,
  );
  if (!busiest) return 'p50 - p99 - ms';
  const { p50, p99 } = busiest.service_ms;
  return `p50 ${ms(p50)} p99 ${ms(p99)} ms (${text_of(full_name(busiest))}, since the start)`;
}

/**
 * How many and how fast, where the load is while one is played, then the two lines of the original. Rates are over the
 * time since `before`, or the start.
 */
export function state_line(now: Summary, before: Summary | null, colour: boolean): string[] {
  const paint = picocolors.createColors(colour);
  const elapsed = now.run.seconds - (before?.run.seconds ?? 0);
  const rate = (count: (s: Summary) => number): number =>
    elapsed > 0 ? (count(now) - (before ? count(before) : 0)) / elapsed : 0;
  const errors_per_s = rate(error_count);
  const errors = `${errors_per_s.toFixed(1)} errors/s`;
  return [
    [
      paint.bold(`${now.phase} ${Math.round(now.run.seconds)} s`),
      `target ${now.target}, live ${now.clients.live}, open ${paint.green(String(now.connections.open))}, ready ${now.connections.ready}`,
      `${rate(message_count).toFixed(1)} messages/s`,
      errors_per_s > 0 ? paint.red(errors) : errors,
      latency_part(now),
    ].join(' | '),
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
  return [
    paint.bold(
      `swarm ${text_of(s.run.versions.swarm)}, ${answers.segment_part(s)}run ${text_of(s.run.id)}: ${answers.seconds(s.run.seconds)}`,
    ),
    ...answers.status_lines(s).slice(1, -1),
    `clients: created ${c.created}, killed ${c.killed.decr + c.killed.stop} (decr ${c.killed.decr}, stop ${c.killed.stop}), done ${c.done}, lost ${c.lost}, peak ${c.peak}`,
    `connect failures: ${answers.counts_line(n.failed)}`,
    `closed: ${answers.counts_line(n.closed)}`,
    ...part(`Actions, ${answers.times_text(s)}`, table(answers.ACTION_HEAD, s.actions.map(answers.action_row), [0])),
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
    s.balanced
      ? paint.green('the books balance')
      : paint.red('the books do NOT balance: please report it with the log'),
    ...(s.complete ? [] : [paint.yellow('incomplete: some counts were lost with their worker')]),
  ].join('\n');
}
