/** `swarm run --join`, `swarm attach`, `swarm summary`, `swarm series`: a coordinator of a swarm of many machines, and what one has stored. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch_bundle, read_parts, sha256_of, sign_bundle, store_bundle } from './cluster/bundles.ts';
import { is_token, type Credentials } from './cluster/credentials.ts';
import { HOST_MARK, type Bundle, type RunHeader } from './cluster/documents.ts';
import { open_engine } from './cluster/open-engine.ts';
import { Joined, type JoinedEnd } from './cluster/joined.ts';
import { adds_up, balance_of, course_of, csv_of } from './cluster/series.ts';
import type { Store } from './cluster/store.ts';
import { final_table } from './console/render.ts';
import { start_console, type Console } from './console/server.ts';
import { exit } from './exit.ts';
import { CLOCK } from './foundation/clock.ts';
import { endpoint_text } from './foundation/endpoint-text.ts';
import { SwarmError } from './foundation/errors.ts';
import { make_log, type Log } from './foundation/log.ts';
import { Refused } from './foundation/shape.ts';
import { VERSION } from './foundation/version.ts';
import { HOST_ENTRY, hush_module, load } from './load.ts';
import { read_summary } from './metrics/read-summary.ts';
import type { Summary } from './metrics/summary.ts';
import type { Options, OptionsWith } from './options.ts';
import { check_name, check_summary_path, read_token, write_summary } from './preflight.ts';
import type { Io } from './program.ts';
import { with_run_folder } from './run-folder.ts';
import { new_run } from './run-spec.ts';
import { on_signals } from './signals.ts';
import { conclude, open_surface, possibly_open_text, unconfirmed_text } from './surface.ts';

const GATHER_MS = 30_000;
const START_WITHIN_MS = 30_000;
const ATTACH_WITHIN_MS = 20_000;
const SERIES_AGAIN_MS = 1500;
/** setup of the module and all agents' loading included */
const OPEN_WITHIN_MS = 120_000;
/** what an agent replaces by its own */
const NO_SOURCES = { addresses: [], excluded_ports: [], kernel_ports: [0, 0], offset: 0 } as const;

/**
 * Begins a run on all agents of the swarm, and leads it. Resolves with the exit code.
 * @throws SwarmError when it cannot begin
 */
export async function run_joined(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number> {
  if (options.segment !== null)
    throw new SwarmError('bad_option', { option: '--segment', reason: 'is for swarms that nothing connects, not for --join' }); // prettier-ignore
  return await with_joined(options, io, 'stop', async ({ joined, store, credentials, log }) => {
    for (const { host } of options.server) if (host !== '') await check_name(host);
    const bundle = await with_run_folder((folder) => make_bundle(options, folder, log, io));
    const run: RunHeader = {
      ...{ id: bundle.run.id, swarm: VERSION, agents: options.min_agents, started: new Date().toISOString() },
      isolation_ms: options.isolation === 'hold' ? null : options.isolation,
      ...sign_bundle(bundle.run.id, bundle, credentials?.sign_key ?? null),
    };
    await store_bundle(store, run, bundle);
    await joined.start(run, bundle, options.paused, START_WITHIN_MS);
  });
}

/** Joins the run that is going on: shows it, takes commands, and leads it should the leader be gone. With a viewer's credentials it only shows it. */
export async function run_attach(options: Options, io: Io): Promise<number> {
  return await with_joined(options, io, 'leave', async ({ joined, store, log }) => {
    const { run } = await joined.attach(ATTACH_WITHIN_MS);
    if (run.swarm !== VERSION) throw new SwarmError('version_skew', { run: run.id, theirs: run.swarm, ours: VERSION });
    // it is not executed here: only agents need to know who signed it
    const bundle = await fetch_bundle(store, run, null);
    if (bundle instanceof Refused) throw new SwarmError('bad_document', { what: `the bundle of run ${run.id}: ${bundle.why}` }); // prettier-ignore
    joined.play(run, bundle);
    log.info(`attached to run ${run.id}`);
  });
}

/** Prints the final summary of a run that has ended. */
export async function print_summary(run: string, options: Options, io: Io): Promise<number> {
  if (options.summary !== null) check_summary_path(options.summary);
  const log = make_log(options.log_level, io.err, io.colour.err);
  const { store } = await open_engine(options, ['leader', 'viewer'], (text) => log.warn(text));
  try {
    const summary = await stored_summary(store, run);
    if (summary === null) throw new SwarmError('no_summary', { run });
    if (options.summary !== null) write_summary(options.summary, summary);
    io.out.line(final_table(summary, io.colour.out));
    return 0;
  } finally {
    await store.close();
  }
}

/** Prints the course of a run as CSV, and on stderr what is missing of it. Resolves with 1 when it does not add up to the summary. */
export async function print_series(run: string, options: Options, io: Io): Promise<number> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  const { store } = await open_engine(options, ['leader', 'viewer'], (text) => log.warn(text));
  try {
    if (!is_token(run)) throw new SwarmError('no_series', { run });
    const summary = await stored_summary(store, run);
    let course = course_of(await store.appended(run));
    // the run may have ended just now: agents tell of its last seconds
    if (summary && !adds_up(course, summary)) {
      await sleep(SERIES_AGAIN_MS);
      course = course_of(await store.appended(run));
    }
    if (course.seconds.size === 0) throw new SwarmError('no_series', { run });
    for (const line of csv_of(course)) io.out.line(line);
    for (const line of balance_of(course, summary)) io.err.line(line);
    return summary === null || adds_up(course, summary) ? 0 : 1;
  } finally {
    await store.close();
  }
}

/** @throws SwarmError `bad_document` when it cannot be read */
async function stored_summary(store: Store, run: string): Promise<Summary | null> {
  const text = await read_parts(store, `summary.${run}`);
  const found = text === null ? null : read_summary(text);
  if (found instanceof Refused) throw new SwarmError('bad_document', { what: `the summary of run ${run}: ${found.why}` }); // prettier-ignore
  return found;
}

interface Ready {
  readonly joined: Joined;
  readonly store: Store;
  readonly credentials: Credentials | null;
  readonly log: Log;
}

/**
 * The stages of a coordinator's life; `begin` makes it play a run. `on_signal`: what SIGINT and SIGTERM mean, the end of the run or only of
 * this process' part in it.
 */
async function with_joined(
  options: Options,
  io: Io,
  on_signal: 'stop' | 'leave',
  begin: (ready: Ready) => Promise<void>,
): Promise<number> {
  const token = options.console_token_file === null ? undefined : read_token(options.console_token_file);
  if (options.summary !== null) check_summary_path(options.summary);
  const log = make_log(options.log_level, io.err, io.colour.err);
  // who only looks cannot begin a run
  const { store, credentials } = await open_engine(options, on_signal === 'stop' ? ['leader'] : ['leader', 'viewer'], () => {}); // prettier-ignore
  const closing: (() => Promise<void> | void)[] = [() => store.close()];
  try {
    const console: Console = await start_console({ listen: options.listen, token, log });
    closing.push(() => console.close());
    const joined = new Joined({
      ...{ store, timers: CLOCK, id: randomBytes(8).toString('hex'), host: hostname() },
      console: () => endpoint_text(console.address),
      ...{ lease_ms: options.lease, gather_ms: GATHER_MS, only_looks: credentials?.role === 'viewer' },
      ...{ max_connections: options.max_connections, max_connect_per_s: options.max_connect_rate },
      versions: { swarm: VERSION, node: process.versions.node },
      on_note: (worker, { level, text }) => log[level]({ worker }, text),
    });
    closing.push(() => joined.close());
    let leave: (left: 'left') => void = () => {};
    const left = new Promise<'left'>((resolve) => (leave = resolve));
    const stop = (signal: string): void => {
      if (on_signal === 'leave') return leave('left');
      log.info(`${signal}: stopping; once more ends this process, and another coordinator may lead`);
      void joined.apply({ op: 'stop', now: false });
    };
    closing.push(on_signals(stop, exit));
    await begin({ joined, store, credentials, log });
    const early = await Promise.race([joined.open(OPEN_WITHIN_MS), joined.ended, left]);
    if (early === undefined) open_surface(console, joined, options.report_every, io);
    const end = await Promise.race([joined.ended, left]);
    if (end !== 'left') return concluded(end, options, log, io);
    log.info('left: the run goes on');
    return 0;
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function concluded({ summary, unconfirmed, unsure, failed }: JoinedEnd, options: Options, log: Log, io: Io): number {
  const reasons = [
    ...unconfirmed_text(unconfirmed),
    ...possibly_open_text(summary, unsure),
    ...(failed === null ? [] : [failed]),
  ];
  return conclude(summary, reasons, options.summary, log, io) ? 0 : 1;
}

async function make_bundle(
  options: OptionsWith<'server' | 'script'>,
  folder: string,
  log: Log,
  io: Io,
): Promise<Bundle> {
  // prettier-ignore
  const unhush = hush_module(log, (error) => log.error({ err: error }, 'swarm itself failed: please report it with this log')); // prettier-ignore
  try {
    const loaded = await load(options, folder, io.colour.err);
    // the place of swarm on this machine means nothing on another
    const module_text = readFileSync(loaded.module_path, 'utf8').replaceAll(HOST_ENTRY, HOST_MARK);
    const { script, module, script_sha256 } = loaded;
    const run = new_run(options, { ...loaded, module_sha256: sha256_of(module_text) }, NO_SOURCES, false);
    return {
      run: { ...run, module_path: '' },
      module_text,
      commands: [...script.actions.map(({ command }) => command), ...(module.connected ? ['connected'] : [])],
      has_setup: module.setup !== undefined,
      has_teardown: module.teardown !== undefined,
      script_sha256,
    };
  } finally {
    unhush();
  }
}
