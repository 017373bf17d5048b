/** A coordinator, or what else holds a hub, over members that live in memory, with a clock that only moves when told. */
import type { Command, Reply } from '../../src/grammar/command.ts';
import { sentence } from '../../src/grammar/sentences.ts';
import { Coordinator, type CoordinatorOptions } from '../../src/swarm/control/coordinator.ts';
import type { Account, HookResult, Note } from '../../src/swarm/plan/account.ts';
import { clients_of, type MemberOrders, type Orders } from '../../src/swarm/plan/orders.ts';
import type { MemberId } from '../../src/swarm/plan/run-spec.ts';
import type { Absence, Death, Hub } from '../../src/swarm/plan/seam.ts';
import type { SquadOptions } from '../../src/swarm/squad/squad.ts';
import { NOTHING, of_main } from '../metrics/one-group.ts';
import { machine_of, run_of } from './specs.ts';

export const RUN = run_of();
export const MACHINE = machine_of();

/** A member that does at once what the plan says, unless it is told not to. */
export class FakeMember {
  readonly id: MemberId;
  readonly #swarm: FakeMachine;
  incarnation = '';
  alive = false;
  /** lives: takes plans in and reports */
  listens = true;
  /** reports, but takes no plan in any more */
  is_deaf = false;
  /** its clients do not leave before `stop` */
  lingers = false;
  capacity = 1000;
  setup: HookResult | null = { ok: true, value: { room: 7 } };
  teardown: HookResult | null = { ok: true, value: null };
  orders: Orders | null = null;
  notes: Note[] = [];
  lines: string[] = [];
  live = 0;
  #created = 0;
  #ended = 0;
  #seq = 0;

  constructor(id: MemberId, swarm: FakeMachine) {
    this.id = id;
    this.#swarm = swarm;
  }

  get entry(): MemberOrders | undefined {
    const entry = this.orders?.members[this.id];
    return entry?.incarnation === this.incarnation ? entry : undefined;
  }

  get clients(): number {
    return this.entry ? clients_of(this.entry) : 0;
  }

  start(): void {
    this.incarnation = `${this.id}-${++this.#swarm.starts}`;
    this.alive = true;
    this.listens = true;
    this.is_deaf = false;
    this.orders = null;
    this.live = this.#created = this.#ended = this.#seq = 0;
    this.account();
  }

  die(absence: Absence = 'restarting', attested = true, death: Death | null = null): void {
    if (attested) {
      this.alive = false;
      this.live = 0;
      this.orders = null;
    }
    this.#swarm.gone(this.id, this.incarnation, attested, absence, death);
  }

  take(orders: Orders): void {
    if (!this.alive || !this.listens || this.is_deaf || orders.members[this.id]?.incarnation !== this.incarnation)
      return;
    this.orders = orders;
    if (orders.phase === 'stop' || (orders.phase === 'drain' && !this.lingers)) this.#go_to(0);
    else if (orders.phase !== 'drain') this.#go_to(this.clients);
    this.account();
  }

  #go_to(live: number): void {
    this.#created += Math.max(0, live - this.live);
    this.#ended += Math.max(0, this.live - live);
    this.live = live;
  }

  account(changes: Partial<Account> = {}): void {
    if (!this.alive || !this.listens) return;
    const { clients, connections } = NOTHING;
    const live = this.orders?.live;
    this.#swarm.reported(this.id, {
      incarnation: this.incarnation,
      pid: 100,
      seq: ++this.#seq,
      revision: this.orders?.revision ?? 0,
      taken: this.orders?.revision ?? 0,
      capacity: this.capacity,
      capacity_why: `open files ${this.capacity + 100} per process`,
      tenures: [],
      snapshot: of_main({
        clients: {
          ...clients,
          created: this.#created,
          killed: { decr: this.#ended, stop: 0 },
          peak: this.live,
          states: { ...clients.states, acting: this.live },
        },
        connections: {
          ...connections,
          attempted: this.#created,
          established: this.#created,
          open: this.live,
          open_peak: this.live,
          closed: { ...connections.closed, decr: this.#ended },
        },
        endpoints: {
          '127.0.0.1:1': {
            attempted: this.#created,
            established: this.#created,
            open: this.live,
            closed: this.#ended,
            connecting: 0,
            failed: 0,
            cancelled: 0,
            lost: 0,
            lost_connecting: 0,
          },
        },
      }),
      notes: this.notes.splice(0),
      notes_dropped: 0,
      traces: (this.entry?.traces ?? []).map(({ token }) => ({ token, lines: this.lines.splice(0) })),
      setup: live?.setup_by === this.id ? this.setup : null,
      teardown: live?.teardown_by === this.id ? this.teardown : null,
      finished: false,
      ...changes,
    });
  }
}

/** Members, the hub to them and the clock. */
export class FakeMachine {
  readonly members: FakeMember[];
  readonly orders_out: Orders[] = [];
  /** members that shall have a process */
  wanted: readonly MemberId[] = [];
  /** who was killed, and why */
  readonly killed: string[] = [];
  readonly notes: string[] = [];
  now = 50_000;
  starts = 0;
  reported: (member: MemberId, account: Account) => void = () => {};
  gone: Parameters<Hub['onGone']>[0] = () => {};
  /** what to build on it */
  readonly options: SquadOptions;
  #timers: { ms: number; f: () => void }[] = [];
  #due: (() => void)[] = [];

  constructor(ids: MemberId[]) {
    this.members = ids.map((id) => new FakeMember(id, this));
    this.options = {
      hub: {
        want: (members) => (this.wanted = members),
        publish: (orders) => {
          this.orders_out.push(orders);
          // a turn later, as on any real way
          this.#due.push(() => this.members.forEach((member) => member.take(orders)));
        },
        onAccount: (f) => (this.reported = f),
        onGone: (f) => (this.gone = f),
        kill: (member, why) => {
          this.killed.push(`${member} ${why}`);
          this.#due.push(() => this.member(member).die('restarting', true, { code: 'worker_stalled', text: why }));
        },
        // those that do not listen are killed later than anybody waits
        close: () => {
          const alive = this.members.filter((member) => member.alive);
          for (const member of alive) if (member.listens) member.die('gone');
          return Promise.resolve(alive.filter((member) => !member.listens).map(({ id }) => id));
        },
      },
      members: ids,
      from_start: ids.length,
      run: RUN,
      machine: MACHINE,
      stall_timeout_ms: 30_000,
      clock: {
        now: () => this.now,
        wall: () => 1_700_000_000_000 + this.now,
        every: (ms, f) => {
          const timer = { ms, f };
          this.#timers.push(timer);
          return () => (this.#timers = this.#timers.filter((one) => one !== timer));
        },
      },
      on_note: (member, note) => this.notes.push(`${member} ${note.level} ${note.text}`),
    };
  }

  member(id: MemberId): FakeMember {
    return this.members.find((member) => member.id === id)!;
  }

  get clients(): number[] {
    return this.members.map((member) => member.live);
  }

  get ticking(): boolean {
    return this.#timers.length > 0;
  }

  /** Delivers what is on its way, until nothing is. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 10; quiet++) {
      const due = this.#due.splice(0);
      if (due.length > 0) quiet = 0;
      for (const deliver of due) deliver();
      await Promise.resolve();
    }
  }

  /** Lets time pass, in ticks of 100 ms; members report each second. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end;) {
      this.now += 100;
      for (const timer of [...this.#timers]) if (this.now % timer.ms === 0) timer.f();
      if (this.now % 1000 === 0) for (const member of this.members) member.account();
      await this.settle();
    }
  }
}

/** As the console says it. */
export const said = (reply: Reply): string => `${reply.ok ? 'OK' : `ERR ${reply.code}`} ${sentence(reply)}`;

export class FakeSwarm extends FakeMachine {
  readonly coordinator: Coordinator;

  constructor(ids: MemberId[], options: Partial<CoordinatorOptions> = {}) {
    super(ids);
    this.coordinator = new Coordinator({
      ...this.options,
      more_by: '--workers',
      connect_per_s: 1000,
      max_connect_per_s: null,
      has_teardown: true,
      about: { script_sha256: 's', servers: ['127.0.0.1:1'], versions: { swarm: '0', node: '20' } },
      open_files: { open_files_per_process: 1100, reserved_files: 100 },
      bounds: () => [],
      ...options,
    });
  }

  /** All members that run from the start up, setup done. */
  static async up(ids: MemberId[], options: Partial<CoordinatorOptions> = {}): Promise<FakeSwarm> {
    const swarm = new FakeSwarm(ids, options);
    for (const id of swarm.wanted) swarm.member(id).start();
    const ready = swarm.coordinator.ready(1000).then(() => swarm.coordinator.setup());
    await swarm.settle();
    await ready;
    await swarm.settle();
    return swarm;
  }

  /** Applies a command and lets time pass until it is answered; `OK …` or `ERR <code> …`. */
  async ask(command: Command): Promise<string> {
    let reply: Reply | null = null;
    void this.coordinator.apply(command, 'somebody').then((answer) => (reply = answer));
    await this.settle();
    for (let i = 0; i < 30 && reply === null; i++) await this.pass(100);
    return said(reply!);
  }

  incr = (count: number, over_ms = 0): Promise<string> => this.ask({ op: 'incr', count, over_ms });
  decr = (count: number, graceful = false): Promise<string> => this.ask({ op: 'decr', count, graceful, over_ms: 0 });
  set = (count: number, over_ms = 0): Promise<string> => this.ask({ op: 'set', count, over_ms });
}
