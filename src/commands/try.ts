/**
 * `swarm try`: one client of each group, one iteration without sleeps, every byte printed; to get a first module to work.
 */
import { at_once, local_pair } from '../cluster/local.ts';
import { CLOCK, now } from '../foundation/clock.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { SwarmError } from '../foundation/errors.ts';
import { escape_text } from '../foundation/escape.ts';
import { exit } from '../foundation/exit.ts';
import type { Io } from '../foundation/io.ts';
import { make_log, type Log } from '../foundation/log.ts';
import { on_signals } from '../foundation/signals.ts';
import { hush_module, load } from '../launch/load.ts';
import { new_run } from '../launch/new-run.ts';
import { check_name } from '../launch/preflight.ts';
import { with_run_folder } from '../launch/run-folder.ts';
import { find_sources } from '../launch/sources.ts';
import { CONNECTED, full_name, name_in_run } from '../metrics/groups.ts';
import { latency_ms } from '../metrics/histogram.ts';
import { whole_of } from '../metrics/merge-snapshots.ts';
import type { OptionsWith } from '../options/options.ts';
import { aligned, ms } from '../outputs/tables.ts';
import type { Account } from '../swarm/plan/account.ts';
import { STOP_WITHIN_MS } from '../swarm/plan/deadlines.ts';
import { NOTHING_WANTED, type Wanted } from '../swarm/plan/intent.ts';
import type { Orders } from '../swarm/plan/orders.ts';
import type { MachineSpec, RunSpec } from '../swarm/plan/run-spec.ts';
import { WHOLE } from '../swarm/plan/segment.ts';
import { Squad } from '../swarm/squad/squad.ts';
import { start_worker } from '../swarm/worker/worker.ts';

const READY_WITHIN_MS = 60_000;
const MAX_ERROR_TEXT = 300;
const MEMBER = 'try';
const CONNECT_PER_S = 1000;

/** Exit code 0 when the iteration, `setup` and `teardown` went well, else 1. */
export async function run_try(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  return await with_run_folder(
    (folder) =>
      new Promise<number>((resolve, reject) => {
        const attempt = async (): Promise<number> => {
          const undo = hush_module(log, reject);
          const loaded = await load(options, folder, io.colour.err).finally(undo);
          const [server] = options.server;
          if (server!.path === undefined) await check_name(server!.host);
          const { groups } = loaded.script;
          const clients = groups.length === 1 ? 'one client' : `one client of each of ${groups.length} groups`;
          io.out.line(`${clients} on ${endpoint_text(server!)}, one iteration of ${options.script}; times in s`);
          const sources = await find_sources(options);
          const run = new_run({ ...options, server: [server!] }, loaded, true);
          const machine = { module_path: loaded.module_path, sources, segment: WHOLE };
          return await new Trial(run, machine, io, log, reject).run();
        };
        attempt().then(resolve, reject);
      }),
  );
}

/** A swarm of one client of each group, which plays one iteration. */
class Trial {
  readonly #run: RunSpec;
  readonly #io: Io;
  readonly #log: Log;
  readonly #squad: Squad;
  readonly #worker: { stop(): Promise<void> };
  #interrupted = false;
  /** rounds begun so far; when something last happened (ms, monotonic); whether the user was told that nothing does */
  #started = 0;
  #active_at = now();
  #told_idle = false;

  constructor(run: RunSpec, machine: MachineSpec, io: Io, log: Log, internal: (error: unknown) => void) {
    this.#run = run;
    this.#io = io;
    this.#log = log;
    // an account that waited would be joined with the next one: lines and notes would no longer stand in their order
    const { hub, seat } = local_pair(MEMBER, at_once);
    this.#squad = new Squad({
      run,
      machine,
      hub,
      members: [MEMBER],
      from_start: 1,
      clock: CLOCK,
      stall_timeout_ms: Infinity,
      on_note: (_, { level, text }) => log[level](text),
    });
    this.#squad.listen(() => this.#watch_idle());
    const { groups } = run.what;
    // with equal shares the first client of each group has the group's number
    for (const [group, { name }] of groups.entries()) {
      const whose = groups.length === 1 ? '' : `${name} `;
      this.#squad.traces.start(MEMBER, group + 1, Infinity, (line) => {
        this.#active_at = now();
        if (line !== null) io.out.line(`${whose}${line}`);
      });
    }
    this.#worker = start_worker({ member: MEMBER, incarnation: MEMBER, seat, internal });
  }

  async run(): Promise<number> {
    const undo = on_signals(() => this.#interrupt(), exit);
    try {
      await this.#squad.ready(READY_WITHIN_MS);
      const setup = await this.#squad.run_hook('setup');
      // `teardown` has things to clean up: only `setup` is not waited for
      if (!setup.ok && this.#interrupted) {
        this.#log.error('interrupted while setup of the module was running: no client started, teardown not called');
        return 1;
      }
      if (!setup.ok) throw new SwarmError('setup_failed', { reason: setup.reason });
      const { planner } = this.#squad;
      planner.live = { ...planner.live, shared: { value: setup.value } };
      const whole = await this.#iteration();
      const teardown = await this.#squad.run_hook('teardown');
      if (!teardown.ok) this.#log.error(`teardown of the module failed: ${teardown.reason}`);
      return this.#verdict(whole && teardown.ok);
    } finally {
      undo();
      this.#squad.finish();
      await this.#worker.stop();
    }
  }

  get #account(): Account | null {
    return this.#squad.members.get(MEMBER)?.account ?? null;
  }

  /** Whether the iteration came to its end. If the module closes the connection, that is the end, too. */
  async #iteration(): Promise<boolean> {
    const is_finished = (): boolean => this.#account?.finished === true;
    this.#want('run', 1);
    await this.#squad.waits.until(() => this.#interrupted || is_finished(), Infinity);
    if (is_finished()) {
      // `teardown` is ordered next: nobody shall play again beside it
      this.#want('run', 0);
      return true;
    }
    this.#want('stop', 0);
    await this.#squad.waits.until(is_finished, STOP_WITHIN_MS);
    return false;
  }

  #interrupt(): void {
    this.#interrupted = true;
    this.#want('stop', 0);
    this.#squad.waits.poke();
  }

  #want(phase: Orders['phase'], clients: 0 | 1): void {
    const groups = this.#run.what.groups.map(() => ({ planned: clients, target: clients }));
    const wanted: Wanted = { ...NOTHING_WANTED, phase, groups, connect_per_s: CONNECT_PER_S };
    this.#squad.planner.follow(() => wanted, now());
    this.#squad.planner.replan(true);
  }

  /** Warns once of a round that waits for nothing swarm knows of: no timeout of swarm would end it. */
  #watch_idle(): void {
    const account = this.#account;
    if (!account) return;
    const { actions, requests } = whole_of(account.snapshot);
    const started = actions.reduce((sum, action) => sum + action.started, 0);
    const index = actions.findIndex(({ running }) => running > 0);
    if (index < 0 || requests.in_flight > 0 || started !== this.#started) this.#active_at = now();
    this.#started = started;
    if (this.#told_idle || now() - this.#active_at < this.#run.how.reply_timeout_ms) return;
    this.#told_idle = true;
    const where = this.#names[index]!;
    this.#log.warn(`still in ${where}, no call is open: is a promise never settled? Ctrl-C ends`);
  }

  /** as in a snapshot: of each group its actions, then `connected` */
  get #names(): string[] {
    return this.#run.what.groups.flatMap(({ name: group, script }) => [
      ...script.loops.flatMap((loop) =>
        loop.actions.map(({ name: action }) => full_name({ group, loop: loop.name, action })),
      ),
      name_in_run(group, CONNECTED),
    ]);
  }

  #verdict(whole: boolean): number {
    const { snapshot } = this.#account!;
    const { actions, connections } = whole_of(snapshot);
    const names = this.#names;
    const rows = actions.map(({ started, ok, failed, aborted, service }, i) => [
      names[i]!,
      ...[started, ok, Object.values(failed).reduce((a, b) => a + b, 0), aborted, ms(latency_ms(service).mean)],
    ]);
    const hooks = this.#run.what.groups.map(({ name }) => name_in_run(name, CONNECTED));
    const played = rows.filter((row) => row[1] !== 0 || !hooks.includes(String(row[0])));
    const table = aligned([['action', 'rounds', 'ok', 'failed', 'aborted', 'mean ms'], ...played], [0]);
    const wrong = Object.entries(snapshot.errors).map(([code, { last }]) =>
      escape_text(`${code}: ${last}`, MAX_ERROR_TEXT),
    );
    const good = whole && wrong.length === 0 && connections.established > 0;
    for (const line of ['', ...table, ...wrong, good ? 'OK' : 'FAILED']) this.#io.out.line(line);
    return good ? 0 : 1;
  }
}
