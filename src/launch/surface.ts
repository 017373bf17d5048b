/** What the operator sees of a run besides the console: state lines, its load, final table, summary file. */
import type { Console } from '../console/server.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { reason_of } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import type { Log } from '../foundation/log.ts';
import type { Output } from '../foundation/output.ts';
import { check_books } from '../metrics/books.ts';
import type { LoadSummary, Summary } from '../metrics/summary.ts';
import { load_bar, load_news } from '../outputs/load-lines.ts';
import { final_table, state_line } from '../outputs/render.ts';
import type { Control } from '../swarm/plan/control.ts';
import { write_summary } from './preflight.ts';

/** A swarm as state lines need it. */
export interface Watched extends Control {
  /** The summary with the percentiles since the last call. */
  next_interval(): Summary;
  /** Where its load is; null: none was begun. */
  load(): LoadSummary | null;
  readonly ended: Promise<unknown>;
}

const LOAD_MS = 250;

/** Has the console answer, prints a state line each `every_ms` and shows the load until the run ends. */
export function open_surface(console: Console, swarm: Watched, every_ms: number, io: Io): void {
  console.open(swarm);
  const { host, port } = console.address;
  io.out.line(`console listening on ${endpoint_text(console.address)}   (telnet ${host} ${port})`);
  let before: Summary | null = null;
  const report = setInterval(() => {
    const summary = swarm.next_interval();
    for (const line of state_line(summary, before, io.colour.out)) io.out.line(line);
    before = summary;
  }, every_ms);
  const hide = show_load(swarm, io.out);
  void swarm.ended.then(() => {
    clearInterval(report);
    hide();
  });
}

/** On a terminal as a line below all others, elsewhere as a line for each step. Returns what ends that. */
function show_load(swarm: Pick<Watched, 'load'>, out: Output): () => void {
  let before: LoadSummary | null = null;
  const show = (): void => {
    const load = swarm.load();
    if (load === null) return;
    const news = load_news(load, before);
    before = load;
    if (out.redraws) out.keep_below(load_bar(load, out.columns - 1));
    else if (news !== null) out.line(news);
  };
  const timer = setInterval(show, LOAD_MS);
  const hide = (): void => out.keep_below('');
  process.once('exit', hide);
  return () => {
    clearInterval(timer);
    show();
    process.off('exit', hide);
    hide();
  };
}

/** Prints the table, writes the file, logs what went wrong (`reasons` first). True: all is well. */
export function conclude(summary: Summary, reasons: readonly string[], file: string | null, log: Log, io: Io): boolean {
  io.out.line(`\n${final_table(summary, io.colour.out)}`);
  const faults = [...reasons, ...(summary.balanced ? [] : unbalanced_text(summary))];
  try {
    if (file !== null) write_summary(file, summary);
  } catch (error) {
    faults.push(reason_of(error));
  }
  for (const fault of faults) log.error(fault);
  return faults.length === 0 && summary.balanced;
}

function unbalanced_text(summary: Summary): string[] {
  const faults = check_books(summary, true);
  // no sum shows what is missing in one group and too much in another, or in a second
  if (faults.length === 0) faults.push('not of each group, or not of all seconds of the series');
  return faults.map((fault) => `the books do not balance: ${fault}`);
}

export const unconfirmed_text = (unconfirmed: readonly string[]): string[] =>
  unconfirmed.length === 0
    ? []
    : [
        `stopped (${unconfirmed.length} unconfirmed): no word that their last client is gone: ${unconfirmed.join(', ')}`,
      ];

/** `unsure`: the agents whose they are, as far as known. */
export function possibly_open_text({ possibly_open = 0 }: Summary, unsure: readonly string[]): string[] {
  if (possibly_open === 0) return [];
  const whose = unsure.length === 0 ? '' : `: ${unsure.join(', ')}`;
  return [
    `${possibly_open} connections are possibly open, of agents that did not answer and have not been heard since${whose}`,
  ];
}
