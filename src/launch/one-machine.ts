/** `swarm run` on one machine, the composition root: wires hub, members, coordinator, console; ends them in stages. */
import { fileURLToPath } from 'node:url';
import { local_pair } from '../cluster/local.ts';
import { start_processes } from '../cluster/processes.ts';
import { start_console, type Console } from '../console/server.ts';
import { CLOCK } from '../foundation/clock.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { exit, write_last } from '../foundation/exit.ts';
import type { Io } from '../foundation/io.ts';
import { make_log, type Log } from '../foundation/log.ts';
import { open_files, RESERVED_FILES } from '../foundation/open-files.ts';
import { on_signals } from '../foundation/signals.ts';
import { VERSION } from '../foundation/version.ts';
import type { OptionsWith } from '../options/options.ts';
import type { Server } from '../protocols/module.ts';
import type { Demand } from '../swarm/control/bounds.ts';
import { Coordinator, type Ended } from '../swarm/control/coordinator.ts';
import type { Note } from '../swarm/plan/account.ts';
import type { MemberId } from '../swarm/plan/run-spec.ts';
import type { Hub } from '../swarm/plan/seam.ts';
import { WHOLE } from '../swarm/plan/segment.ts';
import { start_worker } from '../swarm/worker/worker.ts';
import { demand_of, processes_of, watch_bounds } from './demand.ts';
import { exit_code, start_load, type ChosenLoad } from './load-run.ts';
import { hush_module, load, type Loaded } from './load.ts';
import { new_run } from './new-run.ts';
import { check_name, check_summary_path, read_token } from './preflight.ts';
import { with_run_folder } from './run-folder.ts';
import { find_endpoints, find_sources } from './sources.ts';
import { conclude, open_surface, unconfirmed_text } from './surface.ts';

const WORKER_ENTRY = fileURLToPath(new URL('../worker-main.js', import.meta.url));
/** longer than a worker may take for its hello: one that is killed for its silence is started again */
const READY_WITHIN_MS = 90_000;
/** includes the time for closing sockets to send what they have, see Population */
const CLOSE_WITHIN_MS = 2_000;
const MAX_FAILURES_LOGGED = 10;

type RunOptions = OptionsWith<'server' | 'script'>;
/** Called when the console answers, with its address and a function that stops the swarm. */
type OnListening = (address: Server, stop: () => void) => void;

/**
 * Runs the swarm until it is stopped. Resolves with the exit code.
 * @throws SwarmError when it cannot start, before the first client connects
 */
export async function run_daemon(
  options: RunOptions,
  io: Io,
  on_listening: OnListening = () => undefined,
): Promise<number> {
  const token = options.console_token_file === null ? undefined : read_token(options.console_token_file);
  if (options.summary !== null) check_summary_path(options.summary);
  return await with_run_folder((folder) => new Daemon(options, io, token, on_listening).run(folder));
}

class Daemon {
  readonly #options: RunOptions;
  readonly #io: Io;
  readonly #token: string | undefined;
  readonly #on_listening: OnListening;
  readonly #log: Log;
  #coordinator: Coordinator | null = null;
  /** number of errors of swarm itself */
  #failures = 0;
  #is_stopping = false;
  /** its load, if it has one, began */
  #is_played = true;
  /** undoes what was started, newest last */
  readonly #closing: (() => Promise<void> | void)[] = [];

  constructor(options: RunOptions, io: Io, token: string | undefined, on_listening: OnListening) {
    this.#options = options;
    this.#io = io;
    this.#token = token;
    this.#on_listening = on_listening;
    this.#log = make_log(options.log_level, io.err, io.colour.err);
  }

  async run(folder: string): Promise<number> {
    try {
      this.#closing.push(
        on_signals((signal) => this.#stop(signal, `${signal}: stopping; once more ends at once`), exit),
      );
      const unhush = hush_module(this.#log, (error) => this.#fail(error));
      this.#closing.push(unhush);
      const { segment, seed } = this.#options;
      if (segment !== null && seed === null)
        this.#log.warn('--segment without --seed: `swarm merge` takes only segments that have the same seed');
      const loaded = await load(this.#options, folder, this.#io.colour.err);
      for (const { host } of this.#options.server) if (host !== '') await check_name(host);
      // the console takes its port before any work is done, and answers after `setup`
      const console = await this.#start_console();
      const sources = await find_sources({ ...this.#options, listen: console.address });
      const endpoints = await find_endpoints(this.#options.server, sources.addresses);
      const coordinator = this.#start_members(loaded, { sources, endpoints }, unhush);
      // a signal may end the run before it began
      const started = coordinator
        .ready(READY_WITHIN_MS)
        .then(() => coordinator.setup())
        .catch((error: unknown) => {
          if (this.#is_stopping) return coordinator.ended;
          throw error;
        });
      const early = await Promise.race([started, coordinator.ended]);
      if (early === undefined) await this.#open(console, coordinator, loaded.load);
      return this.#conclude(await coordinator.ended);
    } finally {
      for (const close of this.#closing.reverse()) await close();
    }
  }

  #start_members(loaded: Loaded, ends: Pick<Demand, 'sources' | 'endpoints'>, unhush: () => void): Coordinator {
    const { server, workers, connect_rate, max_connect_rate } = this.#options;
    const { first, most, forked } = processes_of(this.#options);
    const members = forked ? Array.from({ length: most }, (_, i) => `w${i + 1}`) : ['local'];
    const run = new_run(this.#options, loaded, false);
    const segment = this.#options.segment ?? WHOLE;
    const on_note = (worker: MemberId, { level, text }: Note): void => this.#log[level]({ worker }, text);
    // a worker in this process guards the module itself
    if (!forked) unhush();
    const hub = forked ? start_processes({ members, entry: WORKER_ENTRY, on_note }) : this.#start_local();
    this.#closing.push(async () => {
      const late = await hub.close(CLOSE_WITHIN_MS);
      if (late.length > 0)
        this.#log.warn(`killed, they did not end within ${CLOSE_WITHIN_MS / 1000} s: ${late.join(', ')}`);
    });
    const { script_sha256, modules } = loaded;
    this.#coordinator = new Coordinator({
      hub,
      members,
      from_start: first,
      stall_timeout_ms: this.#options.stall_timeout,
      more_by: workers === 'auto' ? '--max-workers' : '--workers',
      connect_per_s: connect_rate,
      max_connect_per_s: max_connect_rate,
      run,
      machine: { module_path: loaded.module_path, sources: ends.sources, segment },
      about: {
        script_sha256,
        servers: server.map(endpoint_text),
        versions: { swarm: VERSION, node: process.versions.node },
      },
      open_files: { open_files_per_process: open_files().soft, reserved_files: RESERVED_FILES },
      bounds: watch_bounds(demand_of(this.#options, loaded, ends)),
      clock: CLOCK,
      has_teardown: [...modules.values()].some(({ teardown }) => teardown !== undefined),
      on_note,
    });
    return this.#coordinator;
  }

  #start_local(): Hub {
    const { hub, seat } = local_pair('local');
    const worker = start_worker({
      member: 'local',
      incarnation: 'local',
      seat,
      internal: (error) => this.#fail(error),
    });
    // to stderr, as the log
    const say_last = (): void => worker.unsent().forEach(({ text }) => write_last(2, `${text}\n`));
    process.on('exit', say_last);
    this.#closing.push(async () => {
      await worker.stop();
      process.off('exit', say_last);
    });
    return hub;
  }

  async #start_console(): Promise<Console> {
    const console = await start_console({ listen: this.#options.listen, token: this.#token, log: this.#log });
    this.#closing.push(() => console.close());
    return console;
  }

  async #open(console: Console, coordinator: Coordinator, load: ChosenLoad | null): Promise<void> {
    open_surface(console, coordinator, this.#options.report_every, this.#io);
    this.#on_listening(console.address, () => this.#stop('the demo', 'stopping'));
    if (load !== null) this.#is_played = await start_load(coordinator, load, this.#log);
  }

  #stop(by: string, why: string): void {
    this.#log.info(why);
    this.#is_stopping = true;
    // no worker was started yet
    if (this.#coordinator === null) exit(this.#failures === 0 ? 0 : 1);
    void this.#coordinator.apply({ op: 'stop', now: false }, by);
  }

  /** An error of swarm itself that nothing caught. */
  #fail(error: unknown): void {
    if (++this.#failures > MAX_FAILURES_LOGGED) return;
    this.#log.error({ err: error }, 'swarm itself failed: please report it with this log');
    this.#stop('swarm itself', 'stopping because swarm itself failed');
  }

  #conclude({ summary, unconfirmed, teardown_failed, given_up }: Ended): number {
    const reasons = [
      ...(given_up ? ['every worker was given up'] : []),
      ...unconfirmed_text(unconfirmed),
      ...(teardown_failed === null ? [] : [`teardown of the module failed: ${teardown_failed}`]),
    ];
    const is_well = conclude(summary, reasons, this.#options.summary, this.#log, this.#io);
    return is_well && this.#failures === 0 ? exit_code(summary, this.#is_played, this.#options.strict, this.#log) : 1;
  }
}
