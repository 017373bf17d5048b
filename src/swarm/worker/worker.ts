/**
 * A member: takes orders, keeps its populations at their shares, sends an account once a second and after applying
 * orders. Runs in the daemon's own process or in a forked one; it knows only its seat.
 */
import { Wheel } from '../../foundation/clock.ts';
import { reason_of } from '../../foundation/errors.ts';
import { cut, escape_bytes, escape_text } from '../../foundation/escape.ts';
import { deep_freeze } from '../../foundation/freeze.ts';
import { capacity as open_file_capacity } from '../../foundation/open-files.ts';
import { Recorder, type GroupRecorder } from '../../metrics/recorder.ts';
import { to_modules } from '../../protocols/exports.ts';
import { load_modules } from '../../protocols/import-module.ts';
import type { ProtocolModule } from '../../protocols/module.ts';
import { actions_of, commands_of, protocols_of } from '../../script/types.ts';
import { Endpoints } from '../client/endpoints.ts';
import type { Trace } from '../client/inbound.ts';
import type { Account, Note } from '../plan/account.ts';
import { clients_of, type MemberOrders, type Orders } from '../plan/orders.ts';
import { from_machine_ms } from '../plan/permit.ts';
import type { MemberId } from '../plan/run-spec.ts';
import type { Seat } from '../plan/seam.ts';
import { MAX_TRACE_LINES } from '../plan/traces.ts';
import { GeneratorHealth } from './generator-health.ts';
import { Hooks, shared_with } from './hooks.ts';
import { BugLog, guard_module } from './module-guard.ts';
import { Populations } from './populations.ts';

const ACCOUNT_MS = 1000;
const MAX_NOTES = 50;
/** characters of a note, such as the stack of an error */
const MAX_NOTE = 16_384;
const TRACE_BYTES = 256;

export interface WorkerOptions {
  readonly member: MemberId;
  readonly incarnation: string;
  readonly seat: Seat;
  /** An error of swarm itself: the process should end. */
  internal(error: unknown): void;
  /** It was frozen or cut off so long that others may have its clients. It holds none, and the process shall end. */
  expired?(): void;
}

export interface RunningWorker {
  /** Lets closing connections send what they have, 1.1 s at most, then ends accounts, timers and guards. */
  stop(): Promise<void>;
  /** notes that no account has carried yet, at most 50; for a process that ends without another account */
  unsent(): readonly Note[];
}

export function start_worker(options: WorkerOptions): RunningWorker {
  const worker = new Worker(options);
  return { stop: () => worker.stop(), unsent: () => worker.unsent };
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #wheel = new Wheel();
  readonly #health = new GeneratorHealth();
  readonly #capacity = open_file_capacity();
  readonly #started = performance.now();
  readonly #bugs = new BugLog((note) => this.#note(note));
  readonly #guard: ReturnType<typeof guard_module>;
  readonly #timer: NodeJS.Timeout;
  readonly #recorder = new Recorder();
  #populations: Populations | null = null;
  readonly #groups = new Map<string, GroupParts>();
  /** by the protocol that groups name, in the order of the run */
  #modules: ReadonlyMap<string, ProtocolModule> | null = null;
  /** the newest orders, and whether some are being applied (loading the module takes a while) */
  #orders: Orders | null = null;
  #busy = false;
  #revision = 0;
  #retry_fatal = 0;
  #seq = 0;
  #refreshed_at = -Infinity;
  #notes: Note[] = [];
  #notes_dropped = 0;
  #early_account_at = 0;
  readonly #traces = new Map<string, ClientTrace>();
  /** the last lines of ended traces, for the next account */
  #traces_ended: { token: string; lines: string[] }[] = [];
  readonly #hooks = new Hooks(
    (note) => this.#note(note),
    () => this.#account(),
  );
  readonly #warned = new Set<string>();
  #had_clients = false;
  /** until when it may send, ms; without an agent there is no such bound */
  #permit_until = Infinity;
  #stopped = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#guard = guard_module({
      note: (note) => this.#note(note),
      stray: (error) => {
        this.#recorder.error('module_error', reason_of(error));
        this.#bugs.add('module_error: outside any call', error);
      },
      internal: (error) => options.internal(error),
    });
    options.seat.onOrders((orders) => this.#take(orders));
    options.seat.onRefresh?.(() => {
      this.#refreshed_at = performance.now();
      this.#account();
    });
    options.seat.onPermit?.((until) => {
      this.#permit_until = from_machine_ms(until);
      this.#populations?.permit.renew(this.#permit_until);
    });
    this.#timer = setInterval(() => {
      // a worker that is asked for an account each second need not send others
      if (performance.now() - this.#refreshed_at >= 1.5 * ACCOUNT_MS) this.#account();
    }, ACCOUNT_MS);
    this.#account();
  }

  get unsent(): readonly Note[] {
    return this.#notes;
  }

  async stop(): Promise<void> {
    // closing connections may have bytes to send yet; live clients are cut when the process ends
    if (this.#populations?.live === 0) await this.#populations.sockets_closed();
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#health.stop();
    this.#guard.undo();
    for (const { endpoints } of this.#groups.values()) endpoints.close();
    this.#populations?.close();
    this.#wheel.stop();
    await this.#options.seat.close();
  }

  #take(orders: Orders): void {
    if (this.#orders !== null && orders.revision <= this.#orders.revision) return;
    const entry = orders.members[this.#options.member];
    if (entry === undefined || entry.incarnation !== this.#options.incarnation) return;
    const is_end = orders.phase !== this.#orders?.phase && (orders.phase === 'drain' || orders.phase === 'stop');
    this.#orders = orders;
    // at the end of a run, so that a worker with many clients to end is not taken for one that does not answer
    if (is_end) this.#account();
    if (!this.#busy) void this.#apply_newest();
  }

  /** Applies orders until the newest are applied, and skips those overtaken meanwhile. Never rejects. */
  async #apply_newest(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#orders !== null && this.#orders.revision > this.#revision && !this.#stopped) {
        const orders = this.#orders;
        const entry = orders.members[this.#options.member]!;
        this.#modules ??= await this.#load(orders, entry);
        await this.#apply(orders, entry);
        this.#revision = orders.revision;
        this.#account();
      }
    } catch (error) {
      this.#options.internal(error);
    } finally {
      this.#busy = false;
    }
  }

  async #load(orders: Orders, entry: MemberOrders): Promise<ReadonlyMap<string, ProtocolModule>> {
    await this.#make_groups(orders, entry);
    const played = orders.run.what.groups.map(({ script }) => script);
    const exports = await load_modules(orders.machine.module_path, protocols_of(played));
    return to_modules(exports, (protocol) => commands_of(played, protocol));
  }

  /** Makes what a group needs when it comes up in the orders first. */
  async #make_groups({ run: { what, where }, machine }: Orders, { groups }: MemberOrders): Promise<void> {
    // one more for `connected`
    const actions = new Map(what.groups.map(({ name, script }) => [name, actions_of(script).length + 1]));
    const of_all = [...actions.values()].reduce((all, one) => all + one, 0);
    for (const name of Object.keys(groups)) {
      if (this.#groups.has(name)) continue;
      const recorder = this.#recorder.group(name, actions.get(name)!, of_all);
      const endpoints = await Endpoints.start({
        servers: where.servers,
        sources: machine.sources.addresses,
        counts: (label) => recorder.endpoint(label),
      });
      this.#groups.set(name, { recorder, endpoints });
    }
  }

  async #apply(orders: Orders, entry: MemberOrders): Promise<void> {
    const { run, live, phase } = orders;
    if (live.setup_by === this.#options.member && live.shared === null) this.#hooks.run_setup(this.#modules!, run);
    if (live.teardown_by === this.#options.member) this.#hooks.run_teardown(this.#modules!, live);
    if (live.shared !== null) {
      const populations = (this.#populations ??= this.#populate(orders, live.shared.value));
      await this.#make_groups(orders, entry);
      for (const [name, parts] of this.#groups) {
        if (populations.has(name)) continue;
        const { protocol } = run.what.groups.find((group) => group.name === name)!.script;
        const module = this.#modules!.get(protocol)!;
        populations.add(name, { ...parts, module, shared: shared_with(this.#modules!, protocol, live.shared.value) });
      }
      populations.zero_ms = from_machine_ms(live.zero_ms);
      await populations.apply(entry.groups, phase);
      if (live.retry_fatal > this.#retry_fatal) populations.retry_fatal();
      this.#retry_fatal = live.retry_fatal;
      if (clients_of(entry) > 0) this.#had_clients = true;
    }
    this.#set_traces(entry.traces);
  }

  #populate({ run, machine, live }: Orders, shared: unknown): Populations {
    // orders from another process are copies and not frozen
    deep_freeze(run.what.groups);
    deep_freeze(shared);
    const populations = new Populations({
      run,
      machine,
      member: this.#options.member,
      wheel: this.#wheel,
      zero_ms: from_machine_ms(live.zero_ms),
      capacity: () => this.#capacity.clients,
      bug: (error, client) => this.#bugs.add('fatal', error, `client ${client}`),
      created: (client) => {
        client.trace = this.#tracer(client.id);
      },
      // once the turn is over: the end of a run need not wait for the next second
      emptied: () => setImmediate(() => this.#account()),
      expired: () => {
        const text = 'frozen or cut off for too long: its clients are closed, as others may have taken their place';
        this.#note({ level: 'warn', text });
        // once its clients' rounds have ended: the last account shows nothing that goes on
        setImmediate(() => {
          this.#account();
          this.#options.expired?.();
        });
      },
      unasked: (text) => {
        if (this.#warned.has(text)) return;
        this.#warned.add(text);
        this.#note({ level: 'warn', text });
      },
    });
    populations.permit.renew(this.#permit_until);
    return populations;
  }

  /** Keeps a note for the next account. If there are 50, an account goes at once, but at most one a second. */
  #note({ level, text: whole }: Note): void {
    const note: Note = { level, text: escape_lines(cut(whole, MAX_NOTE)) };
    if (this.#notes.length >= MAX_NOTES) {
      const at = performance.now();
      if (at - this.#early_account_at < ACCOUNT_MS) {
        this.#notes_dropped++;
        // an error takes the place of a note that is not an error
        const least = level === 'error' ? this.#notes.findLastIndex((one) => one.level !== 'error') : -1;
        if (least < 0) return;
        this.#notes.splice(least, 1);
        return void this.#notes.push(note);
      }
      this.#early_account_at = at;
      this.#account();
    }
    this.#notes.push(note);
    // `swarm try` shows at once what the module prints, among the other lines
    if (this.#orders?.run.what.once === true) this.#account();
  }

  #set_traces(wanted: MemberOrders['traces']): void {
    for (const [token, trace] of this.#traces) {
      if (wanted.some((want) => want.token === token)) continue;
      this.#traces_ended.push({ token, lines: lines_of(trace) });
      this.#traces.delete(token);
      const client = this.#populations?.client(trace.client);
      if (client) client.trace = this.#tracer(trace.client);
    }
    for (const { token, client } of wanted) {
      if (this.#traces.has(token)) continue;
      const trace: ClientTrace = { client, lines: [], dropped: 0 };
      this.#traces.set(token, trace);
      const traced = this.#populations?.client(client);
      if (traced) traced.trace = this.#tracer(client);
      else if (this.#orders?.run.what.once !== true)
        this.#trace_line(trace, 'end', null, `no client ${client} lives now`);
    }
  }

  /** Returns what writes a client's events to all traces of it; null: there are none. */
  #tracer(client: number): Trace | null {
    const traces = [...this.#traces.values()].filter((trace) => trace.client === client);
    if (traces.length === 0) return null;
    return (event, bytes, text) => {
      for (const trace of traces) this.#trace_line(trace, event, bytes, text);
    };
  }

  #trace_line(trace: ClientTrace, event: string, bytes: Uint8Array | null, text: string): void {
    if (trace.lines.length >= MAX_TRACE_LINES) {
      // `swarm try` shows everything
      if (this.#orders?.run.what.once === true) this.#account();
      else {
        trace.dropped++;
        return;
      }
    }
    const at = ((performance.now() - this.#started) / 1000).toFixed(6);
    const what =
      bytes === null ? escape_text(text, 200) : `${bytes.length} bytes "${escape_bytes(bytes, TRACE_BYTES)}"`;
    trace.lines.push(`${at} ${event} ${what}`);
  }

  #take_trace_lines(): Account['traces'] {
    const ended = this.#traces_ended;
    this.#traces_ended = [];
    const running = [...this.#traces].map(([token, trace]) => ({ token, lines: lines_of(trace) }));
    return [...ended, ...running];
  }

  #account(): void {
    if (this.#stopped) return;
    this.#populations?.permit.check();
    const notes = this.#notes;
    this.#notes = [];
    const tenures = this.#populations?.count_slots() ?? []; // before the snapshot, which counts them
    this.#options.seat.account({
      incarnation: this.#options.incarnation,
      pid: process.pid,
      seq: ++this.#seq,
      revision: this.#revision,
      taken: this.#orders?.revision ?? 0,
      capacity: this.#capacity.clients,
      capacity_why: this.#capacity.why,
      snapshot: this.#recorder.snapshot(this.#health.measure()),
      notes,
      notes_dropped: this.#notes_dropped + this.#guard.dropped(),
      tenures,
      traces: this.#take_trace_lines(),
      setup: this.#hooks.setup,
      teardown: this.#hooks.teardown,
      finished: this.#had_clients && this.#populations?.live === 0,
    });
  }
}

/** What a group counts with, and what it connects to. */
interface GroupParts {
  readonly recorder: GroupRecorder;
  readonly endpoints: Endpoints;
}

interface ClientTrace {
  readonly client: number;
  lines: string[];
  dropped: number;
}

/** Takes the lines of a trace since the last account. */
function lines_of(trace: ClientTrace): string[] {
  const lines = trace.dropped > 0 ? [...trace.lines, `(${trace.dropped} more events not shown)`] : trace.lines;
  trace.lines = [];
  trace.dropped = 0;
  return lines;
}

/** Escapes each line, so that a terminal acts on nothing in it. */
const escape_lines = (text: string): string =>
  text
    .split('\n')
    .map((line) => escape_text(line, 1000))
    .join('\n');
