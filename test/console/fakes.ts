/** A swarm that does nothing but count, and a client of its console. */
import { connect, type Socket } from 'node:net';
import { start_console, type Console } from '../../src/console/server.ts';
import type { Command, Reply } from '../../src/grammar/command.ts';
import { Events } from '../../src/metrics/events.ts';
import { Series } from '../../src/metrics/series.ts';
import type { ActionSummary, Latency, SlotsSummary, Summary } from '../../src/metrics/summary.ts';
import type { Control } from '../../src/swarm/plan/control.ts';

export const latency = (p50: number, count = 10): Latency => ({
  count,
  mean: p50,
  min: 0.2,
  p50,
  p90: p50 * 2,
  p95: p50 * 3,
  p99: p50 * 4,
  p99_9: p50 * 5,
  max: p50 * 6,
});

export function action(index: number, command: string, p50 = 1.5): ActionSummary {
  const [service_ms, response_ms] = [latency(p50), latency(p50)];
  return {
    index,
    command,
    action: command,
    group: 'main',
    loop: 'main',
    started: 12,
    running: 1,
    ok: 10,
    failed: { timeout: 1 },
    aborted: 0,
    lost: 0,
    service_ms,
    response_ms,
  };
}

/** One with a rate: 35 slots came, of which 12 started, 20 were dropped, 2 wait and 1 was lost. */
export const rated_action = (index: number, command: string, change: Partial<SlotsSummary> = {}): ActionSummary => ({
  ...action(index, command),
  response_ms: latency(30),
  rate_per_s: 1.75,
  slots: {
    planned: 35,
    started: 12,
    waiting: 2,
    dropped: { no_free_client: 17, backlog: 3, stopped: 0, paused: 0 },
    lost: 1,
    late_ms: latency(0.25, 12),
    ...change,
  },
});

export function summary(change: Partial<Summary> = {}): Summary {
  return {
    format: 'swarm-summary/1',
    final: false,
    run: {
      id: 'r1',
      script_sha256: 'aa',
      module_sha256: 'bb',
      seed: 's',
      segment: null,
      servers: ['127.0.0.1:7000'],
      versions: { swarm: '0.1.0', node: '20.0.0' },
      started: '2026-11-22T00:00:00.000Z',
      seconds: 20,
    },
    phase: 'run',
    target: 100,
    planned: 90,
    connect_per_s: 1000,
    clients: {
      live: 90,
      draining: 0,
      finished: 0,
      peak: 90,
      created: 95,
      killed: { decr: 5, stop: 0 },
      done: 0,
      lost: 0,
      states: { initial: 0, connect: 2, acting: 38, standby: 50, backoff: 0, fatal: 0 },
      entered: { initial: 95, connect: 95, acting: 200, standby: 150, killed: 5 },
    },
    connections: {
      attempted: 96,
      connecting: 2,
      established: 93,
      open: 88,
      ready: 86,
      open_peak: 90,
      cancelled: 0,
      failed: { ECONNREFUSED: 1 },
      lost: 0,
      lost_connecting: 0,
      ports_skipped: 0,
      connect_ms: latency(0.1),
      handshake_ms: latency(0),
      closed: { script: 0, decr: 5, stop: 0, server: 0, reset: 0, timeout: 0, wrong_reply: 0, fatal: 0, limit: 0 },
    },
    endpoints: [
      {
        address: '127.0.0.1:7000',
        attempted: 96,
        connecting: 2,
        established: 93,
        open: 88,
        failed: 1,
        cancelled: 0,
        closed: 5,
        lost: 0,
        lost_connecting: 0,
      },
    ],
    requests: {
      sent: 1000,
      in_flight: 10,
      ok: 980,
      wrong: 2,
      timeout: 8,
      aborted: 0,
      lost: 0,
      noreply: 20,
      unasked_bytes: 0,
    },
    bytes: { sent: 11_000, received: 9000 },
    actions: [action(0, 'heartbeat')],
    mark: null,
    errors: [],
    workers: [
      {
        id: 'w1',
        incarnation: 'i',
        pid: 42,
        live: 90,
        open: 88,
        capacity: 1000,
        cpu: 0.25,
        rss_bytes: 64 * 2 ** 20,
        lag_p99_ms: 1.25,
        silent_ms: 120,
        state: 'up' as const,
      },
    ],
    limits: {
      capacity: 19_900,
      open_files_per_process: 20_000,
      reserved_files: 100,
      why: 'open files 20000 per process',
      bounds: [],
    },
    generator: { cpu: 0.25, rss_bytes: 64 * 2 ** 20, lag_p99_ms: 1.25 },
    lost_workers: [],
    balanced: true,
    complete: true,
    ...change,
  };
}

/** `OK marked <text>` */
export const marked = (text: string): Reply => ({ ok: true, op: 'mark', text, followers: null });

export class FakeControl implements Control {
  readonly series = new Series();
  readonly events = new Events(() => 1_700_000_000_000);
  readonly applied: Command[] = [];
  readonly asked_by: string[] = [];
  now: Summary = summary({ target: 0 });
  reply: (command: Command) => Reply | Promise<Reply> = (command) => marked(command.op);
  readonly watchers = new Set<(s: Summary) => void>();
  readonly traces: { id: number; seconds: number; on_line: (line: string | null) => void; stopped: boolean }[] = [];

  async apply(command: Command, by: string): Promise<Reply> {
    this.applied.push(command);
    this.asked_by.push(by);
    return this.reply(command);
  }

  watch(listener: (s: Summary) => void): () => void {
    this.watchers.add(listener);
    return () => this.watchers.delete(listener);
  }

  summary(): Summary {
    return this.now;
  }

  async trace(
    id: number,
    seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const trace = { id, seconds, on_line, stopped: false };
    this.traces.push(trace);
    return { ok: true, op: 'trace', client: id, member: 'w1', followers: null, stop: () => (trace.stopped = true) };
  }

  /** A new summary, and those who watch hear of it. */
  publish(change: Partial<Summary>): void {
    this.now = { ...this.now, ...change };
    for (const watcher of this.watchers) watcher(this.now);
  }

  set_open(open: number): void {
    this.publish({ connections: { ...this.now.connections, open } });
  }
}

export interface TestConsole {
  control: FakeControl;
  console: Console;
  logged: string[];
  connect(): Client;
  close(): Promise<void>;
}

export async function test_console(token?: string): Promise<TestConsole> {
  const control = new FakeControl();
  const logged: string[] = [];
  const log = {
    info: (text: string) => void logged.push(text),
    warn: (text: string) => void logged.push(`warn ${text}`),
  };
  const console = await start_console({ listen: { host: '127.0.0.1', port: 0 }, token, log });
  console.open(control);
  const clients: Client[] = [];
  return {
    control,
    console,
    logged,
    connect() {
      const client = new Client(console.address.port);
      clients.push(client);
      return client;
    },
    async close() {
      await console.close();
      for (const client of clients) client.socket.destroy();
    },
  };
}

/** Collects what the console says, as latin1 so that telnet's bytes survive. */
export class Client {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  text = '';
  #waiting: (() => void)[] = [];

  constructor(port: number, host = '127.0.0.1', localAddress?: string) {
    this.socket = connect({ port, host, localAddress });
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        resolve();
        this.#wake();
      };
      this.socket.on('end', end).on('close', end);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  send(data: string | number[]): void {
    this.socket.write(typeof data === 'string' ? data : Buffer.from(data));
  }

  /** What came after the banner, as lines. */
  get answers(): string[] {
    const after = this.text.split('-- all commands\r\n\r\n')[1] ?? '';
    return after.split('\r\n').slice(0, -1);
  }

  /** Resolves when `found` says yes; the test's own timeout is the bound. */
  async until(found: (client: this) => boolean): Promise<void> {
    while (!found(this)) {
      if (this.socket.closed) throw new Error(`closed; got ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The first `n` lines after the banner. */
  async lines(n: number): Promise<string[]> {
    await this.until((client) => client.answers.length >= n);
    return this.answers;
  }
}
