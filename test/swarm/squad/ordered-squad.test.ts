import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { local_pair } from '../../../src/cluster/local.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { is_idle, live_of } from '../../../src/metrics/merge-snapshots.ts';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';
import type { MemberId } from '../../../src/swarm/plan/run-spec.ts';
import { OrderedSquad, type GroupOrder, type SquadOrder } from '../../../src/swarm/squad/ordered-squad.ts';
import type { SquadOptions } from '../../../src/swarm/squad/squad.ts';
import { start_worker } from '../../../src/swarm/worker/worker.ts';
import { start_ledger } from '../../ledger.ts';
import { main_lost, main_of } from '../../metrics/one-group.ts';
import { FakeMachine } from '../fake-swarm.ts';
import { group_of, machine_of, run_of } from '../specs.ts';

const ORDER: SquadOrder = {
  revision: 1,
  phase: 'run',
  connect_per_s: 1000,
  shared: { value: { room: 7 } },
  groups: {},
  slots: null,
  graceful: false,
  retry_fatal: 0,
  setup: false,
  teardown: false,
  traces: [],
};

const spread = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(([first, last, step]) =>
    Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step),
  );

/** A squad over members in memory, and how it was told that something changed. */
class Bench extends FakeMachine {
  readonly squad: OrderedSquad;
  changes = 0;
  #revision = 0;

  constructor(ids: MemberId[], options: Partial<SquadOptions> = {}) {
    super(ids);
    this.squad = new OrderedSquad({ ...this.options, ...options });
    this.squad.on_change(() => this.changes++);
  }

  static async up(ids: MemberId[], options: Partial<SquadOptions> = {}): Promise<Bench> {
    const bench = new Bench(ids, options);
    for (const id of bench.wanted) bench.member(id).start();
    await bench.settle();
    return bench;
  }

  /** Orders so many clients, with as many ids from 1 on unless told otherwise; returns the revision. */
  async order(clients: number, changes: Partial<SquadOrder & GroupOrder> = {}): Promise<number> {
    const revision = ++this.#revision;
    const all: IdRange[] = clients > 0 ? [[1, clients, 1]] : [];
    const { ids = all, target = clients, ...more } = changes;
    this.squad.order({ ...ORDER, revision, groups: { [MAIN]: { clients, target, ids } }, ...more });
    await this.settle();
    return revision;
  }

  /** ids of each member */
  get ids(): number[][] {
    return this.members.map(({ entry }) => spread(entry?.groups.main?.ids ?? []));
  }
}

describe('an order', () => {
  it('is shared among the workers, with the ids that were granted and a part of the rate', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(5, {
      ids: [
        [3, 7, 2],
        [100, 200, 10],
      ],
      connect_per_s: 50,
    });
    expect(bench.clients).toEqual([3, 2]);
    expect(bench.ids).toEqual([
      [3, 7, 110],
      [5, 100],
    ]);
    expect(bench.members.map(({ entry }) => entry!.groups.main!.connect_per_s)).toEqual([25, 25]);
    expect(bench.member('w1').orders).toMatchObject({ phase: 'run', live: { shared: { value: { room: 7 } } } });
    expect(bench.squad.account()).toMatchObject({
      applied: 1,
      live: 5,
      open: 5,
      capacity: 2000,
      ids_wanted: { main: 5 },
    });
  });

  it('adds up what its workers measured once for each of their accounts', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(10);
    const group = (): unknown => bench.squad.account().snapshot.errors;
    const first = group();
    expect(group()).toBe(first);
    await bench.pass(1000);
    expect(group()).not.toBe(first);
    const again = group();
    bench.member('w2').die();
    expect(group()).not.toBe(again);
    expect(main_of(bench.squad.account().snapshot).clients.states.acting).toBe(5);
  });

  it('is absolute: the newest wins, and again changes nothing', async () => {
    const bench = await Bench.up(['w1']);
    await bench.order(10);
    await bench.order(4);
    const orders_out = bench.orders_out.length;
    bench.squad.order({ ...ORDER, revision: 1, groups: { main: { clients: 10, target: 10, ids: [[1, 10, 1]] } } });
    bench.squad.order({ ...ORDER, revision: 2, groups: { main: { clients: 10, target: 10, ids: [[1, 10, 1]] } } });
    await bench.settle();
    expect(bench.orders_out).toHaveLength(orders_out);
    expect(bench.clients).toEqual([4]);
  });

  it('makes ids and workers ready for the end of the ramp', async () => {
    const bench = await Bench.up(['w1', 'w2', 'w3'], { from_start: 1 });
    await bench.order(10, { target: 1500, ids: [[1, 1500, 1]] });
    expect(bench.wanted).toEqual(['w1', 'w2']);
    bench.member('w2').start();
    await bench.settle();
    expect(bench.clients).toEqual([5, 5, 0]);
    expect(bench.ids.map((ids) => ids.length)).toEqual([750, 750, 0]);
  });

  it('has workers enough while a ramp goes down', async () => {
    const bench = await Bench.up(['w1', 'w2'], { from_start: 1 });
    await bench.order(1500, { target: 10 });
    expect(bench.wanted).toEqual(['w1', 'w2']);
  });

  it('carries phase, graceful shrinking and retries', async () => {
    const bench = await Bench.up(['w1']);
    await bench.order(3, { phase: 'pause', graceful: true, retry_fatal: 4 });
    expect(bench.member('w1').orders).toMatchObject({ phase: 'pause', live: { retry_fatal: 4 } });
    expect(bench.member('w1').entry!.groups.main!.graceful).toBe(true);
  });

  it('is by group: what a worker holds of one leaves the rest of its room to the others', async () => {
    const groups = [group_of(), group_of({ name: 'listeners', share: 9 })];
    const bench = await Bench.up(['w1', 'w2'], { run: run_of({ groups }) });
    const all = (clients: number, ids: IdRange[]) => ({ clients, target: clients, ids });
    const ordered = (): number[][] =>
      bench.members.map(({ entry }) => groups.map(({ name }) => entry!.groups[name]!.clients));
    await bench.order(0, { groups: { [MAIN]: all(4, [[1, 4, 1]]), listeners: all(36, [[11, 46, 1]]) } });
    expect(ordered()).toEqual([
      [2, 18],
      [2, 18],
    ]);
    expect(bench.squad.account()).toMatchObject({
      may: { [MAIN]: 4, listeners: 36 },
      ids_wanted: { [MAIN]: 4, listeners: 36 },
    });
    await bench.order(0, { groups: { [MAIN]: all(1800, [[1, 1800, 1]]), listeners: all(36, [[11, 46, 1]]) } });
    expect(ordered()).toEqual([
      [900, 18],
      [900, 18],
    ]);
    // one that is not named holds nothing
    await bench.order(0, { groups: { listeners: all(300, [[11, 310, 1]]) } });
    expect(ordered()).toEqual([
      [0, 150],
      [0, 150],
    ]);
    expect(bench.squad.account().may).toEqual({ [MAIN]: 0, listeners: 300 });
  });

  it('waits for the workers that have a use for an id not granted yet', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(10, { ids: [[1, 4, 1]] });
    expect(bench.ids).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(bench.squad.account().ids_wanted).toEqual({ main: 10 });
    await bench.order(10, {
      ids: [
        [1, 4, 1],
        [20, 25, 1],
      ],
    });
    expect(bench.ids).toEqual([
      [1, 3, 20, 22, 24],
      [2, 4, 21, 23, 25],
    ]);
  });

  it('says how many ids it takes after one was given up and came again', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(10);
    bench.member('w2').die('given_up');
    await bench.settle();
    expect(bench.ids).toEqual([[1, 3, 5, 7, 9, 2, 4, 6, 8, 10], []]);
    bench.member('w2').start();
    await bench.order(0, { ids: [[1, 10, 1]] });
    await bench.order(10);
    expect([bench.ids[1], bench.squad.account().ids_wanted]).toEqual([[], { main: 15 }]);
    await bench.order(10, {
      ids: [
        [1, 10, 1],
        [31, 35, 1],
      ],
    });
    expect(bench.ids[1]).toEqual([31, 32, 33, 34, 35]);
  });

  it('property: never more clients than ordered or may be left, nor an id that is not granted, or twice', async () => {
    const step = fc.oneof(
      fc.record({ clients: fc.nat(60), more: fc.nat(20) }),
      fc.record({
        who: fc.constantFrom('w1', 'w2', 'w3'),
        how: fc.constantFrom('restarting' as const, 'given_up' as const),
      }),
      fc.record({ deaf: fc.constantFrom('w1', 'w2', 'w3') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const bench = await Bench.up(['w1', 'w2', 'w3']);
        const ids: IdRange[] = [];
        let [next, ordered] = [1, 0];
        for (const one of steps) {
          // an order that nobody acknowledged is in force yet, even if its worker has not begun with it
          const may = bench.squad.account().may[MAIN]!;
          if ('clients' in one) {
            if (one.more > 0) ids.push([next, next + 2 * (one.more - 1), 2]);
            next += 2 * one.more + 1;
            await bench.order(one.clients, { ids: [...ids] });
            ordered = one.clients;
          } else if ('who' in one) {
            const member = bench.member(one.who);
            if (member.alive) member.die(one.how);
            else member.start();
          } else bench.member(one.deaf).listens = !bench.member(one.deaf).listens;
          await bench.settle();
          const clients = bench.clients.reduce((a, b) => a + b, 0);
          expect(clients).toBeLessThanOrEqual(Math.max(ordered, may));
          expect(bench.squad.account().may[MAIN]).toBeLessThanOrEqual(Math.max(ordered, may));
          const granted = new Set(spread(ids));
          const used = bench.members
            .filter(({ alive }) => alive)
            .flatMap(({ entry }) => spread(entry?.groups.main?.ids ?? []));
          expect(new Set(used).size).toBe(used.length);
          expect(used.every((id) => granted.has(id))).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('applied', () => {
  it('is the newest order that all workers that are up have applied, and said at once', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    expect(bench.squad.account().applied).toBe(0);
    await bench.order(10);
    expect([bench.squad.account().applied, bench.changes]).toEqual([1, 1]);
    bench.member('w2').listens = false;
    await bench.order(20);
    await bench.order(8);
    expect([bench.squad.account().applied, bench.changes]).toEqual([1, 1]);
    bench.member('w2').listens = true;
    bench.member('w2').take(bench.orders_out.at(-1)!);
    expect([bench.squad.account().applied, bench.changes]).toEqual([3, 2]);
    await bench.pass(3000);
    expect(bench.changes).toBe(2);
  });

  it('does not wait for the dead, and takes nothing back for one that starts', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(10);
    bench.member('w2').listens = false;
    await bench.order(6);
    bench.member('w2').die();
    expect(bench.squad.account().applied).toBe(2);
    bench.member('w2').start();
    expect(bench.squad.account().applied).toBe(2);
    await bench.settle();
    expect(bench.clients).toEqual([3, 3]);
  });

  it('costs no memory however long a worker is stalled, and catches up', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    bench.member('w2').listens = false;
    for (let i = 1; i <= 200; i++) await bench.order(i);
    expect(bench.squad.account().applied).toBe(0);
    bench.member('w2').listens = true;
    bench.member('w2').take(bench.orders_out.at(-1)!);
    expect(bench.squad.account().applied).toBe(200);
  });
});

describe('hooks', () => {
  it('run once, in one worker, and tell how they ended', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(0, { shared: null, setup: true });
    await bench.order(0, { shared: null, setup: true });
    expect(bench.squad.account()).toMatchObject({ setup: { ok: true, value: { room: 7 } }, teardown: null });
    const asked = (): string[] => bench.orders_out.flatMap(({ live }) => live.setup_by ?? live.teardown_by ?? []);
    expect(new Set(asked())).toEqual(new Set(['w1']));
    await bench.order(0, { setup: true, teardown: true, phase: 'stop' });
    expect(bench.squad.account()).toMatchObject({ setup: { ok: true }, teardown: { ok: true } });
    const before = asked().length;
    await bench.order(0, { setup: true, teardown: true, phase: 'stop' });
    expect(asked()).toHaveLength(before);
  });

  it('go on while orders come, and end with their worker', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    bench.member('w1').setup = null;
    await bench.order(0, { setup: true, shared: null });
    await bench.order(0, { setup: true, shared: null, retry_fatal: 5 });
    expect(bench.orders_out.at(-1)!.live).toMatchObject({
      shared: null,
      setup_by: 'w1',
      teardown_by: null,
      retry_fatal: 5,
    });
    expect(bench.squad.account().setup).toBeNull();
    const { changes } = bench;
    bench.member('w1').die();
    await bench.settle();
    expect(bench.squad.account().setup).toEqual({ ok: false, reason: 'worker w1 died while it ran' });
    expect(bench.changes).toBe(changes + 2);
  });
});

describe('a trace', () => {
  const TRACE = { token: 't', client: 30, until: 52_000 };

  it('goes to the worker that has the client; its newest lines are told until it is taken back', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    const ids: IdRange[] = [[10, 50, 10]];
    await bench.order(5, { ids });
    await bench.order(5, { ids, traces: [TRACE] });
    const owner = bench.members.find(({ entry }) => spread(entry!.groups.main!.ids).includes(30))!;
    expect(bench.members.map(({ entry }) => entry!.traces.map(({ client }) => client))).toEqual(
      bench.members.map((member) => (member === owner ? [30] : [])),
    );
    const say = (lines: string[]): void => {
      owner.lines.push(...lines);
      owner.account();
    };
    say(['a', 'b']);
    expect(bench.squad.account().traces).toEqual([{ token: 't', lines: ['a', 'b'], before: 0, is_over: false }]);
    say(Array.from({ length: 200 }, (_, i) => `${i}`));
    const [told] = bench.squad.account().traces;
    expect(told).toMatchObject({ before: 2, is_over: false });
    expect([told!.lines.length, told!.lines[0], told!.lines.at(-1)]).toEqual([200, '0', '199']);
    await bench.order(5, { ids });
    expect(owner.entry!.traces).toEqual([]);
    expect(bench.squad.account().traces).toEqual([]);
  });

  it('ends by itself, and says so', async () => {
    const bench = await Bench.up(['w1']);
    await bench.order(1, { ids: [[30, 30, 1]], traces: [TRACE] });
    expect(bench.member('w1').entry!.traces).toHaveLength(1);
    await bench.pass(3000);
    expect(bench.member('w1').entry!.traces).toEqual([]);
    expect(bench.squad.account().traces).toEqual([{ token: 't', lines: [], before: 0, is_over: true }]);
  });

  it('of a client that is not here says that', async () => {
    const bench = await Bench.up(['w1']);
    const here: IdRange[] = [
      [1, 1, 1],
      [30, 30, 1],
    ];
    await bench.order(1, { ids: here, traces: [TRACE] });
    expect(bench.squad.account().traces).toEqual([
      { token: 't', lines: ['no client 30 lives now'], before: 0, is_over: true },
    ]);
  });

  it('of a client of another agent is not told by this one', async () => {
    const bench = await Bench.up(['w1']);
    await bench.order(10, { traces: [TRACE] });
    expect(bench.member('w1').entry!.traces).toEqual([]);
    expect(bench.squad.account().traces).toEqual([]);
  });
});

describe('a report', () => {
  it('is that of one member that held everything', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(100);
    await bench.order(40);
    const account = bench.squad.account();
    expect(main_of(account.snapshot)).toMatchObject({
      clients: { created: 100, peak: 100, killed: { decr: 60 } },
      connections: { open: 40, open_peak: 100 },
    });
    expect(account.workers.map(({ id, live, state }) => [id, live, state])).toEqual([
      ['w1', 20, 'up'],
      ['w2', 20, 'up'],
    ]);
    expect(account.capacity_why).toBe('open files 1100 per process');
  });

  it('keeps what a worker measured that died, and comes at once', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(100);
    const { changes } = bench;
    bench.member('w2').die('given_up');
    expect(bench.changes).toBe(changes + 1);
    await bench.settle();
    expect(bench.squad.account()).toMatchObject({
      live: 100,
      capacity: 1000,
      capacity_why: 'open files 1100 per process; w2 given up',
      dead: { lost: { main: { clients: 50, open: 50 } }, workers: [{ worker: 'w2', incarnation: 'w2-2' }] },
    });
  });
});

describe('the start', () => {
  it('waits for the workers, and names who is missing', async () => {
    const bench = new Bench(['w1', 'w2']);
    bench.member('w1').start();
    const late = expect(bench.squad.ready(3000)).rejects.toThrow('1 of 2 are up (w2 starting)');
    await bench.pass(3000);
    await late;
    const ready = bench.squad.ready(3000);
    bench.member('w2').start();
    await bench.settle();
    await expect(ready).resolves.toBeUndefined();
  });

  it('fails with what the workers die of, when each dies twice as it loads the module', async () => {
    const bench = new Bench(['w1', 'w2']);
    const ready = expect(bench.squad.ready(90_000)).rejects.toThrow(
      'none of 2 can load the module: w2 exited: no such device',
    );
    for (const member of bench.members) Object.assign(member, { is_deaf: true });
    for (let death = 1; death <= 2; death++) {
      for (const member of bench.members) {
        member.start();
        member.is_deaf = true;
      }
      await bench.settle();
      for (const member of bench.members)
        member.die('restarting', true, { code: 'worker_died', text: `${member.id} exited: no such device` });
      await bench.settle();
    }
    await ready;
    expect(bench.squad.account().dead.workers).toEqual([]);
  });

  // on a busy machine two workers that die as they load are never both up: all were given up first, and nobody said of what
  it('fails with what the workers die of, in whatever order they start, and if never two are up at once', async () => {
    const check = async (order: readonly number[]): Promise<void> => {
      const names = ['w1', 'w2', 'w3'].slice(0, order.length / 2);
      const bench = new Bench(names);
      const ready = expect(bench.squad.ready(90_000)).rejects.toThrow(
        new RegExp(`none of ${names.length} can load the module: w\\d exited: no such device`),
      );
      for (const member of bench.members) member.is_deaf = true;
      for (const [i, place] of order.entries()) {
        const member = bench.members[place % names.length]!;
        member.start();
        member.is_deaf = true;
        await bench.settle();
        const absence = order.slice(i + 1).some((one) => one % names.length === place % names.length);
        const death = { code: 'worker_died', text: `${names[place % names.length]} exited: no such device` } as const;
        member.die(absence ? 'restarting' : 'given_up', true, death);
        await bench.settle();
      }
      await ready;
    };
    const order = fc.constantFrom(2, 4, 6).chain((deaths) =>
      fc.shuffledSubarray(
        Array.from({ length: deaths }, (_, i) => i),
        { minLength: deaths },
      ),
    );
    await fc.assert(fc.asyncProperty(order, check), { numRuns: 50 });
  });

  it('goes on although a worker dies once, and another twice', async () => {
    const bench = new Bench(['w1', 'w2']);
    const ready = bench.squad.ready(90_000);
    const [first, second] = bench.members;
    first!.start();
    second!.start();
    first!.is_deaf = second!.is_deaf = true;
    await bench.settle();
    const death = { code: 'worker_died', text: 'died of SIGKILL' } as const;
    for (let i = 0; i < 2; i++) {
      first!.die('restarting', true, death);
      first!.start();
      first!.is_deaf = i === 0;
      await bench.settle();
    }
    await expect(ready).resolves.toBeUndefined();
  });

  it('is not waited for when it closes', async () => {
    const bench = new Bench(['w1']);
    const ready = expect(bench.squad.ready(3000)).rejects.toThrow('0 of 1 are up');
    await bench.squad.close(1000);
    await ready;
  });
});

describe('the end', () => {
  const gauges = ({ squad }: Bench) => {
    const { snapshot, dead, live, open, workers } = squad.account();
    return [is_idle(snapshot), is_idle(dead.snapshot), live, open, workers.length];
  };

  it('after a stop loses nothing', async () => {
    const bench = await Bench.up(['w1', 'w2']);
    await bench.order(10);
    await bench.order(0, { phase: 'stop' });
    const { changes } = bench;
    expect(await bench.squad.close(1000)).toEqual([]);
    const { dead, applied } = bench.squad.account();
    expect(gauges(bench)).toEqual([true, true, 0, 0, 0]);
    expect(main_lost(dead.lost)).toMatchObject({ clients: 0, open: 0 });
    expect([dead.workers, main_of(dead.snapshot).clients.created]).toEqual([[], 10]);
    expect([applied, bench.changes, bench.ticking]).toEqual([2, changes, false]);
  });

  it('counts what lives as lost, whether the workers end or are killed, and is deaf afterwards', async () => {
    const bench = await Bench.up(['w1', 'w2', 'w3']);
    await bench.order(10);
    bench.member('w2').listens = false;
    bench.squad.order({ ...ORDER, revision: 9, phase: 'stop' });
    expect(await bench.squad.close(1000)).toEqual(['w2']);
    expect(gauges(bench)).toEqual([true, true, 0, 0, 0]);
    const account = bench.squad.account();
    expect(main_lost(account.dead.lost)).toMatchObject({ clients: 10, open: 10 });
    expect(main_of(account.dead.snapshot).clients.created).toBe(10);
    expect(account.dead.workers.map(({ worker }) => worker)).toEqual(['w1', 'w3', 'w2']);
    bench.member('w2').listens = true;
    bench.member('w2').account();
    const orders_out = bench.orders_out.length;
    await bench.order(10, { revision: 20 });
    expect([bench.orders_out.length, bench.squad.account()]).toEqual([orders_out, account]);
  });

  it('ends a hook that is under way', async () => {
    const bench = await Bench.up(['w1']);
    bench.member('w1').setup = null;
    await bench.order(0, { setup: true, shared: null });
    await bench.squad.close(1000);
    await bench.settle();
    expect(bench.squad.account().setup).toEqual({ ok: false, reason: 'worker w1 died while it ran' });
  });
});

describe('with a real worker', () => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('clients have the granted ids; closed while they live, they are lost', async () => {
    const seen = new Set<string>();
    const ledger = await start_ledger({ reply: (line) => (seen.add(line), { text: 'OK' }) });
    const dir = mkdtempSync(join(tmpdir(), 'swarm-squad-test-'));
    closing.push(
      () => rmSync(dir, { recursive: true }),
      () => ledger.close(),
    );
    writeFileSync(
      join(dir, 'm.mjs'),
      `const line = { frame: (b, s, e) => { for (let i = s; i < e; i++) if (b[i] === 10) return i + 1 - s; return 0; } };
       export const hi = (client) => client.send_for_reply('hi ' + client.id + '\\r\\n', line);`,
    );
    const run = run_of({
      servers: [{ host: '127.0.0.1', port: ledger.port }],
      groups: [group_of({ actions: [{ command: 'hi', sleep_between_rounds: [0.01, 0.02] }] })],
    });
    const machine = machine_of({ module_path: join(dir, 'm.mjs') });
    const { hub, seat } = local_pair('local');
    const squad = new OrderedSquad({ ...new FakeMachine(['local']).options, hub, run, machine });
    const internal = (error: unknown): void => expect.fail(String(error));
    const worker = start_worker({ member: 'local', incarnation: 'i', seat, internal });
    closing.push(() => worker.stop());
    await squad.ready(5000);
    squad.order({
      ...ORDER,
      groups: {
        [MAIN]: {
          clients: 3,
          target: 3,
          ids: [
            [10, 20, 10],
            [7, 7, 1],
          ],
        },
      },
    });
    await vi.waitFor(() => expect(squad.account()).toMatchObject({ applied: 1, open: 3 }));
    await vi.waitFor(() => expect([...seen].sort()).toEqual(['hi 10', 'hi 20', 'hi 7']));
    await squad.close(1000);
    const { snapshot, dead } = squad.account();
    const { clients, open } = main_lost(dead.lost);
    expect([live_of(snapshot), clients, open, dead.workers.length]).toEqual([0, 3, 3, 1]);
  });
});
