/** `swarm agent`: offers this machine to a swarm of many. Its workers are processes and do what the plan says. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { start_processes } from '../cluster/processes.ts';
import { CLOCK } from '../foundation/clock.ts';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { exit } from '../foundation/exit.ts';
import { write_module } from '../foundation/files.ts';
import type { Io } from '../foundation/io.ts';
import { make_log, type Log } from '../foundation/log.ts';
import { open_files } from '../foundation/open-files.ts';
import { is_gone, pid_place } from '../foundation/pid-place.ts';
import { Refused } from '../foundation/shape.ts';
import { on_signals } from '../foundation/signals.ts';
import { Suspension } from '../foundation/suspension.ts';
import { VERSION } from '../foundation/version.ts';
import { processes_of } from '../launch/demand.ts';
import { HOST_ENTRY } from '../launch/load.ts';
import { with_run_folder } from '../launch/run-folder.ts';
import { find_sources } from '../launch/sources.ts';
import type { Crew } from '../machines/agent/holding.ts';
import { Agent } from '../machines/agent/swarm-agent.ts';
import { fetch_bundle } from '../machines/store/bundles.ts';
import { HOST_MARK, type RunHeader } from '../machines/store/documents.ts';
import { open_engine, type Engine } from '../machines/store/open-engine.ts';
import type { Store } from '../machines/store/store.ts';
import type { Options } from '../options/options.ts';
import type { Note } from '../swarm/plan/account.ts';
import type { MemberId } from '../swarm/plan/run-spec.ts';
import { WHOLE } from '../swarm/plan/segment.ts';
import { OrderedSquad } from '../swarm/squad/ordered-squad.ts';

const WORKER_ENTRY = fileURLToPath(new URL('../worker-main.js', import.meta.url));
/** longer than a worker may take for its hello: one that is killed for its silence is started again */
const READY_WITHIN_MS = 90_000;
const LEAVE_WITHIN_MS = 30_000;
const LOOK_MS = 100;
const WAIT_STEP_MS = 1000;

/**
 * Plays in every run of its swarm until it is asked to end; before the end its clients go to others. Resolves with the
 * exit code.
 * @throws SwarmError when the engine cannot be reached, or another agent plays under this name
 */
export async function run_agent(options: Options, io: Io): Promise<number> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  // 0 is what the environment may say for a swarm of one process, which an agent is not
  const processes = processes_of({ ...options, workers: options.workers === 0 ? 'auto' : options.workers });
  return await with_run_folder(async (folder) => {
    const suspension = new Suspension();
    const { store, credentials, id } = await patiently_opened(options, log);
    const agent = new Agent({
      store,
      timers: { ...CLOCK, slept: () => suspension.ms },
      id,
      facts: {
        host: hostname(),
        machine: pid_place(),
        pid: process.pid,
        swarm: VERSION,
        node: process.versions.node,
        labels: options.labels ?? [],
        weight: options.weight ?? processes.first,
        open_files: open_files().soft,
      },
      max_connections: options.max_connections,
      make: (run, on_note) =>
        make(run, { options, store, folder, log, on_note, processes, verify_key: credentials?.verify_key ?? null }),
      log: (level, text) => log[level](text),
      // a dead agent's workers died with it
      is_dead: ({ machine, pid }) => is_gone(machine, pid),
    });
    io.out.line(`agent ${id} offers ${processes.first} workers to swarm ${options.name}`);
    const unsignal = on_signals((signal) => {
      log.info(`${signal}: leaving: its clients move to other agents; a second signal ends at once`);
      agent.leave();
    }, exit);
    try {
      await Promise.race([left(agent), agent.failed]);
      return 0;
    } catch (error) {
      throw new SwarmError('agent_twice', { agent: id, reason: reason_of(error) }, error);
    } finally {
      await agent.close();
      await store.close();
      unsignal();
    }
  });
}

/** Tries again while nobody answers, for as long as `--wait` says, but not if the engine refuses. */
async function patiently_opened(options: Options, log: Log): Promise<Engine> {
  const deadline = CLOCK.now() + options.wait;
  for (let is_told = false; ; is_told = true) {
    try {
      return await open_engine(options, ['agent'], (text) => log.warn(text));
    } catch (error) {
      const is_absent = error instanceof SwarmError && error.code === 'engine_unreachable';
      if (!is_absent || CLOCK.now() >= deadline) throw error;
      if (!is_told) log.warn(`${error.message}; waiting for it`);
    }
    await sleep(Math.min(WAIT_STEP_MS, Math.max(0, deadline - CLOCK.now())));
  }
}

/** Resolves when the agent was asked to leave and holds nothing any more, or that took too long. */
async function left(agent: Agent): Promise<void> {
  return await new Promise((resolve) => {
    let waited = 0;
    const stop = CLOCK.every(LOOK_MS, () => {
      if (agent.is_leaving) waited += LOOK_MS;
      if (!agent.has_left && waited < LEAVE_WITHIN_MS) return;
      stop();
      resolve();
    });
  });
}

interface Making {
  readonly options: Options;
  readonly store: Store;
  readonly folder: string;
  readonly log: Log;
  readonly on_note: (worker: MemberId, note: Note) => void;
  readonly processes: { readonly first: number; readonly most: number };
  /** null: the engine has no identities, and nothing is signed */
  readonly verify_key: string | null;
}

async function make(header: RunHeader, making: Making): Promise<Crew> {
  const { options, store, folder, log, on_note, processes, verify_key } = making;
  const bundle = await fetch_bundle(store, header, verify_key);
  if (bundle instanceof Refused) throw new Error(bundle.why);
  const { run, module_text } = bundle;
  const module_path = join(folder, `${run.what.module_sha256}.mjs`);
  write_module(module_path, module_text.replaceAll(HOST_MARK, HOST_ENTRY));
  const sources = await find_sources({ ...options, server: run.where.servers });
  const members = Array.from({ length: processes.most }, (_, i) => `w${i + 1}`);
  const note = (worker: MemberId, one: Note): void => {
    log[one.level]({ worker }, one.text);
    on_note(worker, one);
  };
  const crew = new OrderedSquad({
    hub: start_processes({ members, entry: WORKER_ENTRY, on_note: note }),
    members,
    from_start: processes.first,
    run,
    machine: { module_path, sources, segment: WHOLE },
    clock: CLOCK,
    on_note: note,
    stall_timeout_ms: options.stall_timeout,
  });
  try {
    await crew.ready(READY_WITHIN_MS);
    return crew;
  } catch (error) {
    await crew.close(0);
    throw error;
  }
}
