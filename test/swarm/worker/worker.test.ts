import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { local_pair } from '../../../src/cluster/local.ts';
import { now } from '../../../src/foundation/clock.ts';
import { map_groups } from '../../../src/metrics/groups.ts';
import { live_in, whole_of } from '../../../src/metrics/merge-snapshots.ts';
import type { GroupSnapshot } from '../../../src/metrics/snapshot.ts';
import { MAIN, type Action } from '../../../src/script/types.ts';
import type { Account } from '../../../src/swarm/plan/account.ts';
import type { GroupShare, MemberOrders, Orders } from '../../../src/swarm/plan/orders.ts';
import { to_machine_ms } from '../../../src/swarm/plan/permit.ts';
import type { GroupSpec, LiveSpec } from '../../../src/swarm/plan/run-spec.ts';
import type { Hub } from '../../../src/swarm/plan/seam.ts';
import { start_worker, type RunningWorker } from '../../../src/swarm/worker/worker.ts';
import { start_ledger, type Ledger } from '../../ledger.ts';
import { until as wait_until } from '../../patience.ts';
import { imbalances } from '../one-process.ts';
import { at_rates } from '../rates.ts';
import { group_of, LIVE, machine_of, run_of, type RunFields } from '../specs.ts';

const MODULE = `
  export const setup = ({ server, seed, log }) => { log.info('preparing ' + seed); return { port: server.port }; };
  export const teardown = ({ shared }) => { if (shared.port === 0) throw new Error('no port'); };
  const line = { frame: (b, s, e) => { for (let i = s; i < e; i++) if (b[i] === 10) return i + 1 - s; return 0; } };
  export async function hi(client, args) {
    if (args.explode) setTimeout(() => { throw new Error('stray of ' + client.id); }, 1);
    if (args.mutate) args.mutate.push(1);
    console.log('client', client.id, client.shared.port > 0);
    await client.send_for_reply('hi\\r\\n', line);
  }
`;

let ledger: Ledger;
let dir: string;
let worker: RunningWorker | undefined;
let accounts: Account[];
let hub: Hub;
const internal: unknown[] = [];

beforeEach(async () => {
  ledger = await start_ledger();
  dir = mkdtempSync(join(tmpdir(), 'swarm-worker-test-'));
  writeFileSync(join(dir, 'm.mjs'), MODULE);
  const pair = local_pair('w1');
  hub = pair.hub;
  accounts = [];
  internal.length = 0;
  hub.onAccount((_, account) => accounts.push(account));
  worker = start_worker({
    member: 'w1',
    incarnation: 'i1',
    seat: pair.seat,
    internal: (error) => internal.push(error),
  });
});
afterEach(async () => {
  await worker?.stop();
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

function orders(
  revision: number,
  clients: number,
  more: {
    run?: Partial<RunFields>;
    live?: Partial<LiveSpec>;
    entry?: Partial<MemberOrders>;
    phase?: Orders['phase'];
  } = {},
): Orders {
  return {
    revision,
    phase: more.phase ?? 'run',
    run: run_of({
      seed: 's',
      servers: [{ host: '127.0.0.1', port: ledger.port }],
      groups: [playing()],
      connect_timeout_ms: 1000,
      reconnect_delay_ms: [1, 2],
      reply_timeout_ms: 1000,
      drain_timeout_ms: 1000,
      max_reply_bytes: 1000,
      ...more.run,
    }),
    machine: machine_of({ module_path: join(dir, 'm.mjs') }),
    live: { ...LIVE, shared: { value: { port: 1 } }, ...more.live },
    members: {
      w1: {
        incarnation: 'i1',
        groups: {
          main: { clients, ids: [[1, 100, 1]], ports: [], connect_per_s: 1000, rate_parts: 1, graceful: false },
        },
        traces: [],
        ...more.entry,
      },
    },
  };
}

const playing = (args: Action['args'] = {}, name = MAIN): GroupSpec =>
  group_of({ name, actions: [{ command: 'hi', args, sleep_between_rounds: [0.01, 0.02] }] });

async function until(condition: (account: Account) => boolean): Promise<Account> {
  const last = (): string => `no such report; last: ${JSON.stringify(accounts.at(-1))}`;
  await wait_until(last, () => accounts.some(condition));
  return accounts.find(condition)!;
}

describe('a worker', () => {
  it('says hello, applies the newest plan and reports its revision at once', async () => {
    const hello = await until((r) => r.seq === 1);
    expect(hello).toMatchObject({ incarnation: 'i1', pid: process.pid, revision: 0 });
    expect(hello.capacity).toBeGreaterThan(0);
    hub.publish(orders(5, 3));
    const applied = await until((r) => r.revision === 5);
    expect(whole_of(applied.snapshot).clients.created).toBe(3);
    await until((r) => (whole_of(r.snapshot).actions[0]?.ok ?? 0) >= 3);
    hub.publish(orders(4, 100)); // older: nothing happens
    hub.publish(orders(6, 1));
    const fewer = await until((r) => r.revision === 6);
    expect(whole_of(fewer.snapshot).clients).toMatchObject({ created: 3, killed: { decr: 2, stop: 0 } });
  });

  it('holds what it was ordered of each group, nothing of any other, and tells of each', async () => {
    const share = (clients: number, first: number): GroupShare => {
      return { clients, ids: [[first, first + 90, 3]], ports: [], connect_per_s: 500, rate_parts: 1, graceful: false };
    };
    const spec = ['talkers', 'listeners', 'late'].map((name) => playing({}, name));
    const publish = (revision: number, groups: MemberOrders['groups'], phase: Orders['phase'] = 'run'): void =>
      hub.publish(orders(revision, 0, { run: { groups: spec }, entry: { groups }, phase }));
    const told = ({ snapshot }: Account, of: (group: GroupSnapshot) => number): Record<string, number> =>
      map_groups(snapshot.groups, of);
    const open = ({ connections }: GroupSnapshot): number => connections.open;
    publish(1, { talkers: share(3, 1), listeners: share(2, 2) });
    expect(told(await until((r) => r.revision === 1), live_in)).toEqual({ talkers: 3, listeners: 2 });
    await until((r) => told(r, open)['talkers'] === 3 && told(r, open)['listeners'] === 2);
    const played = await until((r) => Object.values(r.snapshot.groups).every(({ actions }) => actions[0]!.ok >= 10));
    for (const { actions, requests, clients } of Object.values(played.snapshot.groups))
      expect([requests.ok >= actions[0]!.ok, clients.created <= 3]).toEqual([true, true]);
    publish(2, { listeners: share(4, 2), late: share(1, 3) });
    const fewer = await until((r) => r.revision === 2);
    expect(told(fewer, live_in)).toEqual({ talkers: 0, listeners: 4, late: 1 });
    expect(told(fewer, ({ clients }) => clients.killed.decr)).toEqual({ talkers: 3, listeners: 0, late: 0 });
    publish(3, { talkers: share(1, 1), listeners: share(4, 2), late: share(1, 3) });
    expect(told(await until((r) => r.revision === 3), live_in)).toEqual({ talkers: 1, listeners: 4, late: 1 });
    publish(4, {}, 'stop');
    const last = await until((r) => r.revision === 4);
    expect([last.finished, told(last, live_in)]).toEqual([true, { talkers: 0, listeners: 0, late: 0 }]);
  });

  it('gives each group its own module, which was set up in turn, and what that returned', async () => {
    const module = (name: string, setup: string): string => `
      import * as m from './m.mjs';
      export const setup = ({ log }) => { log.info('up ${name}'); ${setup} };
      export const teardown = ({ shared, log }) => { log.info('down ' + JSON.stringify(shared)); throw new Error('no'); };
      export const hi = async (client) => {
        console.log('${name}', JSON.stringify(client.shared));
        await m.hi(client, {});
      };`;
    writeFileSync(join(dir, 'a.mjs'), module('a', 'return { who: "a" };'));
    writeFileSync(join(dir, 'b.mjs'), module('b', ''));
    writeFileSync(join(dir, 'm.mjs'), MODULE.replaceAll('client.shared.port > 0', 'true'));
    writeFileSync(join(dir, 'both.mjs'), "export * as a from './a.mjs';\nexport * as b from './b.mjs';\n");
    const group = (name: string, protocol: string): GroupSpec => {
      const { script, ...spec } = playing({}, name);
      return { ...spec, script: { ...script, protocol } };
    };
    const run = { groups: [group('x', 'b'), group('y', 'a'), group('z', 'b')] };
    const publish = (revision: number, more: Parameters<typeof orders>[2]): void => {
      const made = orders(revision, 0, { run, ...more });
      hub.publish({ ...made, machine: { ...made.machine, module_path: join(dir, 'both.mjs') } });
    };
    publish(1, { live: { shared: null, setup_by: 'w1' }, entry: { groups: {} } });
    const { setup } = await until((r) => r.setup !== null);
    expect(setup).toEqual({ ok: true, value: { a: { who: 'a' } } });
    const noted = (): string[] => accounts.flatMap((r) => r.notes.map(({ text }) => text));
    expect(noted()).toEqual(['setup: up b', 'setup: up a']);
    const shared = { value: { a: { who: 'a' } } };
    const share = { clients: 1, ports: [], connect_per_s: 500, rate_parts: 1, graceful: false };
    const of_group = (id: number): GroupShare => ({ ...share, ids: [[id, id, 1]] });
    publish(2, { live: { shared }, entry: { groups: { x: of_group(1), y: of_group(1), z: of_group(1) } } });
    await until(
      (r) =>
        Object.values(r.snapshot.groups).length === 3 &&
        Object.values(r.snapshot.groups).every(({ actions }) => actions[0]!.ok > 0),
    );
    expect(new Set(noted().filter((text) => /^[ab] /.test(text)))).toEqual(new Set(['a {"who":"a"}', 'b undefined']));
    publish(3, { live: { shared, teardown_by: 'w1' }, entry: { groups: {} }, phase: 'stop' });
    const { teardown } = await until((r) => r.teardown !== null);
    expect(teardown).toMatchObject({ ok: false, reason: expect.stringMatching(/^b: no /) as string });
    expect(noted().filter((text) => text.startsWith('teardown'))).toEqual([
      'teardown: down undefined',
      'teardown: down {"who":"a"}',
    ]);
  });

  it('ignores an entry for another incarnation', async () => {
    hub.publish(orders(1, 3, { entry: { incarnation: 'other' } }));
    hub.publish(orders(2, 0));
    const account = await until((r) => r.revision === 2);
    expect(whole_of(account.snapshot).clients.created).toBe(0);
  });

  it('runs setup and teardown once when it is the one, and tells what they returned', async () => {
    hub.publish(orders(1, 0, { live: { shared: null, setup_by: 'w1' } }));
    hub.publish(orders(2, 0, { live: { shared: null, setup_by: 'w1' } }));
    const up = await until((r) => r.setup !== null);
    expect(up.setup).toEqual({ ok: true, value: { port: ledger.port } });
    expect(accounts.flatMap((r) => r.notes).filter((n) => n.text === 'setup: preparing s').length).toBe(1);
    hub.publish(orders(3, 0, { live: { shared: { value: { port: 0 } }, teardown_by: 'w1' }, phase: 'stop' }));
    const down = await until((r) => r.teardown !== null);
    expect(down.teardown).toMatchObject({ ok: false });
    expect(down.teardown!.ok ? '' : down.teardown!.reason).toMatch(/no port/);
  });

  it('sends the module’s console to the notes, with a bound', async () => {
    hub.publish(orders(1, 5));
    await until((r) => r.notes.some((n) => n.text === 'client 1 true'));
    for (const r of accounts) expect(r.notes.length).toBeLessThanOrEqual(50);
  });

  it('counts what the module throws outside any call, and goes on', async () => {
    hub.publish(orders(1, 2, { run: { groups: [playing({ explode: true })] } }));
    const account = await until((r) => (r.snapshot.errors['module_error']?.count ?? 0) >= 5);
    expect(whole_of(account.snapshot).clients.states.fatal).toBe(0);
    const told = accounts.flatMap((r) => r.notes).filter((n) => n.text.includes('stray of'));
    expect(told.length).toBe(1); // once per kind
    expect(told[0]!.text).toMatch(/m\.mjs:\d+/);
    expect(internal).toEqual([]);
  });

  it('args are frozen: who writes to them is told so as a bug', async () => {
    const args = structuredClone({ mutate: [] }); // as it comes from another process
    hub.publish(orders(1, 1, { run: { groups: [playing(args)] } }));
    const account = await until((r) => whole_of(r.snapshot).clients.states.fatal === 1);
    expect(account.snapshot.errors['fatal']!.last).toMatch(/not extensible/);
  });

  it('traces a client while the plan says so', async () => {
    const traces = [{ token: 't1', client: 2 }];
    hub.publish(orders(1, 3, { entry: { traces } }));
    await until((r) => r.traces.some((t) => t.lines.some((line) => line.includes('reply 7 bytes "OK hi\\r\\n"'))));
    const lines = accounts.flatMap((r) => r.traces).flatMap((t) => t.lines);
    expect(lines.some((line) => / connect 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:/.test(line))).toBe(true);
    expect(lines.some((line) => line.includes('send 4 bytes "hi\\r\\n"'))).toBe(true);
    hub.publish(orders(2, 3));
    const after = await until((r) => r.revision === 2);
    // the last lines come with the report that ends the trace
    for (const { token } of after.traces) expect(token).toBe('t1');
    hub.publish(orders(3, 3));
    expect((await until((r) => r.revision === 3)).traces).toEqual([]);
  });

  it('two traces of one client both see all, and one goes on when the other ends', async () => {
    const both = [
      { token: 'a', client: 1 },
      { token: 'b', client: 1 },
    ];
    hub.publish(orders(1, 1, { entry: { traces: both } }));
    for (const token of ['a', 'b'])
      await until((r) => r.traces.some((t) => t.token === token && t.lines.some((l) => l.includes('reply'))));
    hub.publish(orders(2, 1, { entry: { traces: both.slice(0, 1) } }));
    const { seq } = await until((r) => r.revision === 2);
    await until(
      (r) => r.seq > seq && r.traces.some((t) => t.token === 'a' && t.lines.some((l) => l.includes('reply'))),
    );
  });

  it('fires the slots of its tenures, and says in each report how far it is', async () => {
    const rate = { per_s: 200, poisson: false, at_once: 1, give_up_ms: null };
    const group = group_of({ actions: [{ command: 'hi', rounds: [0, 0], rate }] });
    const live = { zero_ms: to_machine_ms(now()), shared: { value: { port: 1 } } };
    const of_main = orders(1, 5).members['w1']!.groups['main']!;
    const give = (revision: number, phase: Orders['phase']): void => {
      const main = { ...of_main, ...at_rates({ 0: 200 }) };
      hub.publish(orders(revision, 5, { run: { groups: [group] }, live, phase, entry: { groups: { main } } }));
    };
    give(1, 'run');
    const slots_in = ({ snapshot }: Pick<Account, 'snapshot'>) => whole_of(snapshot).actions[0]?.slots;
    await until((r) => (whole_of(r.snapshot).actions[0]?.ok ?? 0) > 50);
    give(2, 'stop');
    await until((r) => r.finished);
    const told = accounts.filter((r) => slots_in(r) !== undefined);
    expect(told.length).toBeGreaterThan(2);
    for (const { snapshot, tenures } of told) {
      expect(imbalances(whole_of(snapshot))).toEqual([]);
      // all slots are its own
      expect(tenures).toEqual([{ id: 1, at: slots_in({ snapshot })!.planned, closed: null }]);
    }
  });
});
