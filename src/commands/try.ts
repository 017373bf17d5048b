/** `swarm try`: one client, one iteration without sleeps, every byte printed; to get a first module to work. */
import { randomUUID } from 'node:crypto';
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
import { latency_ms } from '../metrics/histogram.ts';
import type { OptionsWith } from '../options/options.ts';
import { aligned, ms } from '../outputs/tables.ts';
import type { Account, HookResult } from '../swarm/plan/account.ts';
import type { Orders } from '../swarm/plan/orders.ts';
import type { LiveSpec, MachineSpec, RunSpec } from '../swarm/plan/run-spec.ts';
import { WHOLE } from '../swarm/plan/segment.ts';
import { HOOK_WITHIN_MS } from '../swarm/squad/squad.ts';
import { Waits } from '../swarm/squad/waits.ts';
import { start_worker } from '../swarm/worker/worker.ts';

const STOP_WITHIN_MS = 5_000;
const MAX_ERROR_TEXT = 300;
const MEMBER = 'try';
const CLIENT = 1;
const MAX_PORTS = 1000;
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
          io.out.line(`one client on ${endpoint_text(server!)}, one iteration of ${options.script}; times in s`);
          const sources = await find_sources(options);
          const run = new_run({ ...options, server: [server!] }, loaded, true);
          const machine = { module_path: loaded.module_path, sources, segment: WHOLE };
          return await new Trial(run, machine, io, log, reject).run();
        };
        attempt().then(resolve, reject);
      }),
  );
}

/** The other end of a worker's seat, in place of a coordinator: orders down, accounts up. */
class Trial {
  readonly #io: Io;
  readonly #log: Log;
  readonly #internal: (error: unknown) => void;
  readonly #incarnation = randomUUID();
  readonly #waits = new Waits(() => performance.now());
  readonly #run: RunSpec;
  readonly #machine: MachineSpec;
  #live: LiveSpec = { shared: null, setup_by: null, teardown_by: null, retry_fatal: 0 };
  #revision = 0;
  #take: (orders: Orders) => void = () => undefined;
  #account: Account | null = null;
  #interrupted = false;
  /** rounds begun so far; when something last happened (ms, monotonic); whether the user was told that nothing does */
  #started = 0;
  #active_at = performance.now();
  #told_idle = false;

  constructor(run: RunSpec, machine: MachineSpec, io: Io, log: Log, internal: (error: unknown) => void) {
    this.#run = run;
    this.#machine = machine;
    this.#io = io;
    this.#log = log;
    this.#internal = internal;
  }

  async run(): Promise<number> {
    const worker = start_worker({
      member: MEMBER,
      incarnation: this.#incarnation,
      seat: {
        onOrders: (f) => (this.#take = f),
        account: (account) => this.#on_account(account),
        onCut: () => undefined,
        close: () => Promise.resolve(),
      },
      internal: this.#internal,
    });
    const poke = setInterval(() => this.#waits.poke(), 100);
    const undo = on_signals(() => (this.#interrupted = true), exit);
    try {
      const setup = await this.#hook('setup');
      if (setup === null) {
        this.#log.error('interrupted while setup of the module was running: no client started, teardown not called');
        return 1;
      }
      if (!setup.ok) throw new SwarmError('setup_failed', { reason: setup.reason });
      this.#live = { ...this.#live, shared: { value: setup.value } };
      const whole = await this.#iteration();
      const teardown = await this.#hook('teardown');
      if (!teardown.ok) this.#log.error(`teardown of the module failed: ${teardown.reason}`);
      return this.#verdict(whole && teardown.ok);
    } finally {
      undo();
      clearInterval(poke);
      await worker.stop();
    }
  }

  /** Whether the iteration came to its end. If the module closes the connection, that is the end, too. */
  async #iteration(): Promise<boolean> {
    this.#publish('run', 1);
    await this.#waits.until(() => this.#interrupted || this.#account?.finished === true, Infinity);
    if (this.#account?.finished) return true;
    this.#publish('stop', 0);
    await this.#waits.until(() => this.#account?.finished === true, STOP_WITHIN_MS);
    return !this.#interrupted && (this.#account?.snapshot.connections.closed.script ?? 0) > 0;
  }

  /** Null: interrupted, which ends only the wait for `setup`. `teardown` has things to clean up. */
  async #hook(hook: 'setup'): Promise<HookResult | null>;
  async #hook(hook: 'teardown'): Promise<HookResult>;
  async #hook(hook: 'setup' | 'teardown'): Promise<HookResult | null> {
    this.#live = { ...this.#live, [`${hook}_by`]: MEMBER };
    this.#publish('run', 0);
    const given_up = (): boolean => hook === 'setup' && this.#interrupted;
    await this.#waits.until(() => given_up() || (this.#account?.[hook] ?? null) !== null, HOOK_WITHIN_MS);
    return this.#account?.[hook] ?? (given_up() ? null : { ok: false, reason: 'no result within 60 s' });
  }

  #publish(phase: Orders['phase'], clients: 0 | 1): void {
    this.#take({
      revision: ++this.#revision,
      phase,
      run: this.#run,
      machine: this.#machine,
      live: this.#live,
      members: {
        [MEMBER]: {
          incarnation: this.#incarnation,
          groups: {
            main: {
              clients,
              ids: [[CLIENT, CLIENT, 1]],
              // the first ports; without --bind the kernel chooses
              ports: this.#machine.sources.addresses.length > 0 ? [[[1, MAX_PORTS, 1]]] : [],
              connect_per_s: CONNECT_PER_S,
              rate_parts: 1,
              graceful: false,
            },
          },
          traces: [{ token: MEMBER, client: CLIENT }],
        },
      },
    });
  }

  #on_account(account: Account): void {
    this.#account = account;
    for (const { lines } of account.traces) for (const line of lines) this.#io.out.line(line);
    for (const { level, text } of account.notes) this.#log[level](text);
    this.#watch_idle(account);
    this.#waits.poke();
  }

  /** Warns once of a round that waits for nothing swarm knows of: no timeout of swarm would end it. */
  #watch_idle({ snapshot: { actions, requests }, traces }: Account): void {
    const now = performance.now();
    const started = actions.reduce((sum, action) => sum + action.started, 0);
    const index = actions.findIndex(({ running }) => running > 0);
    const events = traces.some(({ lines }) => lines.length > 0);
    if (index < 0 || requests.in_flight > 0 || events || started !== this.#started) this.#active_at = now;
    this.#started = started;
    if (this.#told_idle || now - this.#active_at < this.#run.how.reply_timeout_ms) return;
    this.#told_idle = true;
    const where = this.#names[index]!;
    this.#log.warn(`still in ${where}, no call is open: is a promise never settled? Ctrl-C ends`);
  }

  /** as in a snapshot: the script's actions, then `connected` */
  get #names(): string[] {
    return [...this.#run.what.script.actions.map(({ command }) => command), 'connected'];
  }

  #verdict(whole: boolean): number {
    const { actions, connections, errors } = this.#account!.snapshot;
    const names = this.#names;
    const rows = actions.map(({ started, ok, failed, aborted, service }, i) => [
      names[i]!,
      ...[started, ok, Object.values(failed).reduce((a, b) => a + b, 0), aborted, ms(latency_ms(service).mean)],
    ]);
    const played = rows.filter((row) => row[1] !== 0 || row[0] !== 'connected');
    const table = aligned([['action', 'rounds', 'ok', 'failed', 'aborted', 'mean ms'], ...played], [0]);
    const wrong = Object.entries(errors).map(([code, { last }]) => escape_text(`${code}: ${last}`, MAX_ERROR_TEXT));
    const good = whole && wrong.length === 0 && connections.established > 0;
    for (const line of ['', ...table, ...wrong, good ? 'OK' : 'FAILED']) this.#io.out.line(line);
    return good ? 0 : 1;
  }
}
