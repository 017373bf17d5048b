/**
 * A member: takes the plan, holds a population to its share, reports once a second and at once after applying a revision. Runs in the
 * daemon's own process or in a forked one; it knows only its seat.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Wheel } from '../../foundation/clock.ts';
import { reason_of } from '../../foundation/errors.ts';
import { cut, escape_bytes, escape_text } from '../../foundation/escape.ts';
import { capacity as open_file_capacity } from '../../foundation/open-files.ts';
import { any_json, checked, Refused } from '../../foundation/shape.ts';
import { Recorder } from '../../metrics/recorder.ts';
import { to_module } from '../../protocols/exports.ts';
import { load_module } from '../../protocols/import-module.ts';
import type { ModuleLog, ProtocolModule } from '../../protocols/module.ts';
import { Endpoints } from '../client/endpoints.ts';
import type { Trace } from '../client/inbound.ts';
import type { Account, HookResult, Note } from '../plan/account.ts';
import type { MemberOrders, Orders } from '../plan/orders.ts';
import { from_machine_ms } from '../plan/permit.ts';
import type { MemberId, RunSpec } from '../plan/run-spec.ts';
import type { Seat } from '../plan/seam.ts';
import { MAX_TRACE_LINES } from '../plan/traces.ts';
import { BugLog, guard_module } from './module-guard.ts';
import { Population } from './population.ts';

const REPORT_MS = 1000;
const MAX_NOTES = 50;
/** characters of a note: the stack of an error, or what a module printed at once */
const MAX_NOTE = 16_384;
/** bytes of what `setup` returns: it travels in each plan */
const MAX_SHARED = 128 * 1024;
const TRACE_BYTES = 256;

export interface WorkerOptions {
  readonly member: MemberId;
  readonly incarnation: string;
  readonly seat: Seat;
  /** an error of swarm's own, which this process should not outlive */
  internal(error: unknown): void;
  /** It was frozen or cut off for so long that others may have its clients: it holds none any more and shall end. */
  expired?(): void;
}

export interface RunningWorker {
  /** Lets closing connections send what they have, 1.1 s at most, then ends reporting, timers and guards. */
  stop(): Promise<void>;
  /** what the next report would tell, for the end of a process that has none; at most 50 */
  unsent(): readonly Note[];
}

export function start_worker(options: WorkerOptions): RunningWorker {
  const worker = new Worker(options);
  return { stop: () => worker.stop(), unsent: () => worker.unsent };
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #wheel = new Wheel();
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  readonly #capacity = open_file_capacity();
  readonly #started = performance.now();
  readonly #bugs = new BugLog((note) => this.#note(note));
  readonly #guard: ReturnType<typeof guard_module>;
  readonly #timer: NodeJS.Timeout;
  #recorder = new Recorder(0);
  #population: Population | null = null;
  #endpoints: Endpoints | null = null;
  #module: ProtocolModule | null = null;
  /** the newest plan, and whether one is being applied (loading the module takes a while) */
  #orders: Orders | null = null;
  #busy = false;
  #revision = 0;
  #retry_fatal = 0;
  #seq = 0;
  #refreshed_at = -Infinity;
  #notes: Note[] = [];
  #notes_dropped = 0;
  #early_report_at = 0;
  #cpu = process.cpuUsage();
  #cpu_at = performance.now();
  #cpu_share = 0;
  readonly #traces = new Map<string, RunningTrace>();
  /** what traces that are over left for the next report */
  #traces_ended: { token: string; lines: string[] }[] = [];
  #setup: HookResult | 'running' | null = null;
  #teardown: HookResult | 'running' | null = null;
  readonly #warned = new Set<string>();
  #had_clients = false;
  /** without an agent above it nobody says until when */
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
    this.#lag.enable();
    options.seat.onOrders((orders) => this.#take(orders));
    options.seat.onRefresh?.(() => {
      this.#refreshed_at = performance.now();
      this.#account();
    });
    options.seat.onPermit?.((until) => {
      this.#permit_until = from_machine_ms(until);
      this.#population?.permit.renew(this.#permit_until);
    });
    this.#timer = setInterval(() => {
      // who is asked for reports each second need not send others
      if (performance.now() - this.#refreshed_at >= 1.5 * REPORT_MS) this.#account();
    }, REPORT_MS);
    this.#account();
  }

  get unsent(): readonly Note[] {
    return this.#notes;
  }

  async stop(): Promise<void> {
    // connections whose life is over may have bytes to send yet; clients that live on are for the process' end to cut
    if (this.#population?.live === 0) await this.#population.sockets_closed();
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#lag.disable();
    this.#guard.undo();
    this.#endpoints?.close();
    this.#population?.close();
    this.#wheel.stop();
    await this.#options.seat.close();
  }

  #take(orders: Orders): void {
    if (this.#orders !== null && orders.revision <= this.#orders.revision) return;
    const entry = orders.members[this.#options.member];
    if (entry === undefined || entry.incarnation !== this.#options.incarnation) return;
    const is_end = orders.phase !== this.#orders?.phase && (orders.phase === 'drain' || orders.phase === 'stop');
    this.#orders = orders;
    // who waits for the end of a run must not take one that has much to end for one that does not answer
    if (is_end) this.#account();
    if (!this.#busy) void this.#apply_newest();
  }

  /** Applies plans until the newest is applied; those overtaken meanwhile are skipped. Never rejects. */
  async #apply_newest(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#orders !== null && this.#orders.revision > this.#revision && !this.#stopped) {
        const orders = this.#orders;
        this.#module ??= await this.#load(orders.run);
        await this.#apply(orders, orders.members[this.#options.member]!);
        this.#revision = orders.revision;
        this.#account();
      }
    } catch (error) {
      this.#options.internal(error);
    } finally {
      this.#busy = false;
    }
  }

  async #load(run: RunSpec): Promise<ProtocolModule> {
    const recorder = new Recorder(run.script.actions.length + 1);
    this.#endpoints = await Endpoints.start({
      servers: run.servers,
      sources: run.sources.addresses,
      counts: (label) => recorder.endpoint(label),
    });
    const commands = run.script.actions.map((action) => action.command);
    const module = to_module(await load_module(run.module_path), commands);
    this.#recorder = recorder;
    return module;
  }

  async #apply(orders: Orders, entry: MemberOrders): Promise<void> {
    const { run, phase } = orders;
    if (run.setup_by === this.#options.member && run.shared === null) this.#run_setup(run);
    if (run.teardown_by === this.#options.member) this.#run_teardown(run);
    if (run.shared !== null) {
      this.#population ??= this.#populate(run);
      await this.#population.apply(entry.groups.main, phase, run);
      if (orders.retry_fatal > this.#retry_fatal) this.#population.retry_fatal();
      this.#retry_fatal = orders.retry_fatal;
      if (entry.groups.main.clients > 0) this.#had_clients = true;
    }
    this.#set_traces(entry.traces);
  }

  #populate(run: RunSpec): Population {
    // a plan that came from another process is a copy, and not frozen any more
    deep_freeze(run.script);
    deep_freeze(run.shared);
    const population = new Population({
      run,
      member: this.#options.member,
      module: this.#module!,
      recorder: this.#recorder,
      wheel: this.#wheel,
      endpoints: this.#endpoints!,
      capacity: () => this.#capacity.clients,
      bug: (error, client) => this.#bugs.add('fatal', error, `client ${client}`),
      created: (client) => {
        client.trace = this.#tracer(client.id);
      },
      // once the turn is over: what waits for the end of a run need not wait for the next second
      emptied: () => setImmediate(() => this.#account()),
      expired: () => {
        const text = 'frozen or cut off for too long: its clients are closed, as others may have taken their place';
        this.#note({ level: 'warn', text });
        // once the rounds of its clients have seen their end: the last report shows nothing that goes on
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
    population.permit.renew(this.#permit_until);
    return population;
  }

  #run_setup(run: RunSpec): void {
    if (this.#setup !== null) return;
    this.#setup = 'running';
    const hook = this.#module!.setup;
    const called = async (): Promise<unknown> =>
      json_able(
        await hook?.({ server: run.servers[0]!, servers: run.servers, seed: run.seed, log: this.#module_log('setup') }),
      );
    void outcome(called).then((result) => {
      this.#setup = result;
      this.#account();
    });
  }

  #run_teardown(run: RunSpec): void {
    if (this.#teardown !== null) return;
    this.#teardown = 'running';
    const hook = this.#module!.teardown;
    const called = async (): Promise<unknown> => {
      await hook?.({ shared: run.shared?.value, log: this.#module_log('teardown') });
      return null;
    };
    void outcome(called).then((result) => {
      this.#teardown = result;
      this.#account();
    });
  }

  #module_log(hook: string): ModuleLog {
    const note = (level: Note['level']) => (text: string) =>
      this.#note({ level, text: `${hook}: ${String(text)}`.slice(0, 1000) });
    return { info: note('info'), warn: note('warn'), error: note('error') };
  }

  /** Keeps a line for the next report. A full page goes at once, but at most one a second more than the regular ones. */
  #note({ level, text: whole }: Note): void {
    const note: Note = { level, text: escape_lines(cut(whole, MAX_NOTE)) };
    if (this.#notes.length >= MAX_NOTES) {
      const at = performance.now();
      if (at - this.#early_report_at < REPORT_MS) {
        this.#notes_dropped++;
        // what went wrong takes the place of a line that is only printed
        const least = level === 'error' ? this.#notes.findLastIndex((one) => one.level !== 'error') : -1;
        if (least < 0) return;
        this.#notes.splice(least, 1);
        return void this.#notes.push(note);
      }
      this.#early_report_at = at;
      this.#account();
    }
    this.#notes.push(note);
    // `swarm try` shows what the module prints where and when it does
    if (this.#orders?.run.once === true) this.#account();
  }

  #set_traces(wanted: MemberOrders['traces']): void {
    for (const [token, trace] of this.#traces) {
      if (wanted.some((want) => want.token === token)) continue;
      this.#traces_ended.push({ token, lines: lines_of(trace) });
      this.#traces.delete(token);
      const client = this.#population?.client(trace.client);
      if (client) client.trace = this.#tracer(trace.client);
    }
    for (const { token, client } of wanted) {
      if (this.#traces.has(token)) continue;
      const trace: RunningTrace = { client, lines: [], dropped: 0 };
      this.#traces.set(token, trace);
      const traced = this.#population?.client(client);
      if (traced) traced.trace = this.#tracer(client);
      else if (this.#orders?.run.once !== true) this.#trace_line(trace, 'end', null, `no client ${client} lives now`);
    }
  }

  /** What writes a client's events to all sessions that trace it; null when none does. */
  #tracer(client: number): Trace | null {
    const traces = [...this.#traces.values()].filter((trace) => trace.client === client);
    if (traces.length === 0) return null;
    return (event, bytes, text) => {
      for (const trace of traces) this.#trace_line(trace, event, bytes, text);
    };
  }

  #trace_line(trace: RunningTrace, event: string, bytes: Uint8Array | null, text: string): void {
    if (trace.lines.length >= MAX_TRACE_LINES) {
      // `swarm try` shows everything
      if (this.#orders?.run.once === true) this.#account();
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
    this.#population?.permit.check();
    const notes = this.#notes;
    this.#notes = [];
    const result = (hook: HookResult | 'running' | null): HookResult | null => (hook === 'running' ? null : hook);
    this.#options.seat.account({
      incarnation: this.#options.incarnation,
      pid: process.pid,
      seq: ++this.#seq,
      revision: this.#revision,
      taken: this.#orders?.revision ?? 0,
      capacity: this.#capacity.clients,
      capacity_why: this.#capacity.why,
      snapshot: this.#recorder.snapshot(this.#generator()),
      notes,
      notes_dropped: this.#notes_dropped + this.#guard.dropped(),
      traces: this.#take_trace_lines(),
      setup: result(this.#setup),
      teardown: result(this.#teardown),
      finished: this.#had_clients && this.#population?.live === 0,
    });
  }

  #generator(): Account['snapshot']['generator'] {
    const at = performance.now();
    const elapsed = at - this.#cpu_at;
    const cpu = process.cpuUsage();
    // reports forced by a command come close together: a share of a few milliseconds says nothing
    if (elapsed >= REPORT_MS / 2) {
      this.#cpu_share = (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1000 / elapsed;
      this.#cpu = cpu;
      this.#cpu_at = at;
    }
    const lag = Math.max(0, this.#lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS);
    if (elapsed >= REPORT_MS / 2) this.#lag.reset();
    return {
      cpu_s: (cpu.user + cpu.system) / 1e6,
      cpu: this.#cpu_share,
      rss_bytes: process.memoryUsage.rss(),
      lag_p99_ms: Math.round(lag * 1000) / 1000,
    };
  }
}

/** each look at the lag wakes the process: fifty idle workers that looked more often cost a tenth of a core and more */
const LAG_RESOLUTION_MS = 50;

interface RunningTrace {
  readonly client: number;
  lines: string[];
  dropped: number;
}

/** Takes the lines of a trace since the last report. */
function lines_of(trace: RunningTrace): string[] {
  const lines = trace.dropped > 0 ? [...trace.lines, `(${trace.dropped} more events not shown)`] : trace.lines;
  trace.lines = [];
  trace.dropped = 0;
  return lines;
}

/** A line of its own per line of the text, nothing a terminal would act on. */
const escape_lines = (text: string): string =>
  text
    .split('\n')
    .map((line) => escape_text(line, 1000))
    .join('\n');

async function outcome(called: () => Promise<unknown>): Promise<HookResult> {
  try {
    return { ok: true, value: await called() };
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '').split('\n')[1]?.trim() : undefined;
    return { ok: false, reason: escape_text(`${reason_of(error)}${stack === undefined ? '' : ` (${stack})`}`, 500) };
  }
}

/** What survives the way to the other members: the same in local mode, so that a module does not work there alone. */
function json_able(value: unknown): unknown {
  const text = value === undefined ? undefined : JSON.stringify(value);
  if (text === undefined) return undefined;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_SHARED)
    throw new RangeError(
      `what it returned has ${bytes} bytes as JSON: at most ${MAX_SHARED} can be sent to all others, return less or the name of a file`,
    );
  const sent = checked(any_json, JSON.parse(text));
  if (sent instanceof Refused) throw new TypeError(`what it returned cannot be sent to others: ${sent.why}`);
  return deep_freeze(sent);
}

function deep_freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deep_freeze(inner);
  return value;
}
