/** A coordinator of many machines, from options to exit code. `swarm run --join` and `swarm attach` begin it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { start_console, type Console } from '../console/server.ts';
import { CLOCK } from '../foundation/clock.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { exit } from '../foundation/exit.ts';
import type { Io } from '../foundation/io.ts';
import { make_log, type Log } from '../foundation/log.ts';
import { on_signals } from '../foundation/signals.ts';
import { VERSION } from '../foundation/version.ts';
import type { RunEnd } from '../machines/coordinator/leading.ts';
import { ManyCoordinator } from '../machines/coordinator/many-coordinator.ts';
import { sha256_of, sign_bundle, store_bundle } from '../machines/store/bundles.ts';
import type { Credentials } from '../machines/store/credentials.ts';
import { HOST_MARK, type Bundle, type RunHeader } from '../machines/store/documents.ts';
import { open_engine } from '../machines/store/open-engine.ts';
import type { Store } from '../machines/store/store.ts';
import type { Options, OptionsWith } from '../options/options.ts';
import { exit_code, start_load, type ChosenLoad } from './load-run.ts';
import { HOST_ENTRY, hush_module, load } from './load.ts';
import { new_run } from './new-run.ts';
import { check_name, check_summary_path, read_token } from './preflight.ts';
import { with_run_folder } from './run-folder.ts';
import { conclude, open_surface, possibly_open_text, unconfirmed_text } from './surface.ts';

const GATHER_MS = 30_000;
const START_WITHIN_MS = 30_000;
/** includes the module's setup and the loading by all agents */
const OPEN_WITHIN_MS = 120_000;

/**
 * Begins a run on all agents of the swarm and leads it. Resolves with the exit code.
 * @throws SwarmError when it cannot begin
 */
export async function run_joined(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number> {
  return await with_joined(options, io, 'stop', async ({ joined, store, credentials, log }) => {
    for (const { host } of options.server) if (host !== '') await check_name(host);
    const { bundle, load } = await with_run_folder((folder) => make_bundle(options, folder, log, io));
    const run: RunHeader = {
      id: bundle.run.id,
      swarm: VERSION,
      agents: options.min_agents,
      started: new Date().toISOString(),
      isolation_ms: options.isolation === 'hold' ? null : options.isolation,
      ...sign_bundle(bundle.run.id, bundle, credentials?.sign_key ?? null),
    };
    await store_bundle(store, run, bundle);
    await joined.start(run, bundle, options.connect_rate, options.paused, START_WITHIN_MS);
    return load;
  });
}

interface Ready {
  readonly joined: ManyCoordinator;
  readonly store: Store;
  readonly credentials: Credentials | null;
  readonly log: Log;
}

/**
 * The stages of a coordinator's life; `begin` makes it play a run, with a load or without. `on_signal`: SIGINT and SIGTERM end the run (`stop`)
 * or only this process' part in it (`leave`).
 */
export async function with_joined(
  options: Options,
  io: Io,
  on_signal: 'stop' | 'leave',
  begin: (ready: Ready) => Promise<ChosenLoad | null>,
): Promise<number> {
  const token = options.console_token_file === null ? undefined : read_token(options.console_token_file);
  if (options.summary !== null) check_summary_path(options.summary);
  const log = make_log(options.log_level, io.err, io.colour.err);
  // a viewer cannot begin a run
  const { store, credentials } = await open_engine(
    options,
    on_signal === 'stop' ? ['leader'] : ['leader', 'viewer'],
    () => {},
  );
  const closing: (() => Promise<void> | void)[] = [() => store.close()];
  try {
    const console: Console = await start_console({ listen: options.listen, token, log });
    closing.push(() => console.close());
    const joined = new ManyCoordinator({
      store,
      timers: CLOCK,
      id: randomBytes(8).toString('hex'),
      host: hostname(),
      console: () => endpoint_text(console.address),
      lease_ms: options.lease,
      gather_ms: GATHER_MS,
      only_looks: credentials?.role === 'viewer',
      max_connections: options.max_connections,
      max_connect_per_s: options.max_connect_rate,
      versions: { swarm: VERSION, node: process.versions.node },
      on_note: (worker, { level, text }) => log[level]({ worker }, text),
    });
    closing.push(() => joined.close());
    let leave: (left: 'left') => void = () => {};
    const left = new Promise<'left'>((resolve) => (leave = resolve));
    const stop = (signal: string): void => {
      if (on_signal === 'leave') return leave('left');
      log.info(`${signal}: stopping; once more ends this process, and another coordinator may lead`);
      void joined.apply({ op: 'stop', now: false }, signal);
    };
    closing.push(on_signals(stop, exit));
    const load = await begin({ joined, store, credentials, log });
    const early = await Promise.race([joined.open(OPEN_WITHIN_MS), joined.ended, left]);
    if (early === undefined) open_surface(console, joined, options.report_every, io);
    const is_played = early !== undefined || load === null || (await start_load(joined, load, log));
    const end = await Promise.race([joined.ended, left]);
    if (end !== 'left') return concluded(end, is_played, options, log, io);
    log.info('left: the run goes on');
    return 0;
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function concluded(
  { summary, unconfirmed, unsure, failed }: RunEnd,
  is_played: boolean,
  options: Options,
  log: Log,
  io: Io,
): number {
  const reasons = [
    ...unconfirmed_text(unconfirmed),
    ...possibly_open_text(summary, unsure),
    ...(failed === null ? [] : [failed]),
  ];
  return conclude(summary, reasons, options.summary, log, io) ? exit_code(summary, is_played, options.strict, log) : 1;
}

async function make_bundle(
  options: OptionsWith<'server' | 'script'>,
  folder: string,
  log: Log,
  io: Io,
): Promise<{ readonly bundle: Bundle; readonly load: ChosenLoad | null }> {
  const unhush = hush_module(log, (error) =>
    log.error({ err: error }, 'swarm itself failed: please report it with this log'),
  );
  try {
    const loaded = await load(options, folder, io.colour.err);
    // the path of swarm on this machine means nothing on another
    const module_text = readFileSync(loaded.module_path, 'utf8').replaceAll(HOST_ENTRY, HOST_MARK);
    const modules = [...loaded.modules.values()];
    const bundle = {
      run: new_run(options, { ...loaded, module_sha256: sha256_of(module_text) }, false),
      module_text,
      has_setup: modules.some(({ setup }) => setup !== undefined),
      has_teardown: modules.some(({ teardown }) => teardown !== undefined),
      script_sha256: loaded.script_sha256,
    };
    return { bundle, load: loaded.load };
  } finally {
    unhush();
  }
}
