/** Groups end to end, though no script can name them yet: a coordinator, workers, sockets, and a server that counts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { local_pair } from '../../../src/cluster/local.ts';
import { CLOCK } from '../../../src/foundation/clock.ts';
import { Coordinator } from '../../../src/swarm/control/coordinator.ts';
import type { Account } from '../../../src/swarm/plan/account.ts';
import { group_targets, place_of } from '../../../src/swarm/plan/numbering.ts';
import type { GroupSpec } from '../../../src/swarm/plan/run-spec.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { start_worker } from '../../../src/swarm/worker/worker.ts';
import { start_ledger } from '../../ledger.ts';
import { until } from '../../patience.ts';
import { group_of, machine_of, run_of } from '../specs.ts';

const MODULE = `
  const line = { frame: (b, s, e) => { for (let i = s; i < e; i++) if (b[i] === 10) return i + 1 - s; return 0; } };
  export const hi = async (client) => client.send_for_reply('hi ' + client.id + '\\r\\n', line);
`;
const ACTION = { command: 'hi', sleep_between_rounds: [0.01, 0.03] } as const;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'swarm-groups-test-'));
  writeFileSync(join(dir, 'm.mjs'), MODULE);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Two workers, here. */
async function swarm_of(groups: readonly GroupSpec[]) {
  /** of each connection that is open, the client that spoke on it last */
  const ids = new Map<number, number>();
  const ledger = await start_ledger({
    reply: (line, connection) => {
      ids.set(connection.id, Number(line.split(' ')[1]));
      return { text: 'OK' };
    },
  });
  const members = ['w1', 'w2'];
  const pairs = members.map((id) => local_pair(id));
  const accounts = new Map<string, Account>();
  const run = run_of({
    groups,
    servers: [{ host: '127.0.0.1', port: ledger.port }],
  });
  const coordinator = new Coordinator({
    hub: {
      want: () => {},
      publish: (orders) => pairs.forEach(({ hub }) => hub.publish(orders)),
      onAccount: (f) =>
        pairs.forEach(({ hub }) =>
          hub.onAccount((id, account) => {
            accounts.set(id, account);
            f(id, account);
          }),
        ),
      onGone: () => {},
      close: async () => [],
    },
    members,
    from_start: 2,
    clock: CLOCK,
    stall_timeout_ms: 60_000,
    on_note: () => {},
    run,
    machine: machine_of({ module_path: join(dir, 'm.mjs') }),
    more_by: '--workers',
    connect_per_s: 10_000,
    max_connect_per_s: null,
    has_teardown: false,
    about: { script_sha256: '', servers: [], versions: { swarm: '', node: '' } },
    open_files: { open_files_per_process: 1000, reserved_files: 100 },
    bounds: () => [],
  });
  const internal = (error: unknown): void => expect.fail(String(error));
  const workers = members.map((member, i) =>
    start_worker({ member, incarnation: `${member}-1`, seat: pairs[i]!.seat, internal }),
  );
  await coordinator.ready(20_000);
  await coordinator.setup();
  return {
    ledger,
    coordinator,
    /** of each group on each worker, as the newest accounts say */
    open: () =>
      groups.map(({ name }) => members.map((id) => accounts.get(id)!.snapshot.groups[name]?.connections.open ?? 0)),
    /** that are open now, of clients that have spoken */
    ids: () => ledger.connections().flatMap(({ id }) => ids.get(id) ?? []),
    close: async () => {
      for (const worker of workers) await worker.stop();
      await ledger.close();
    },
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test('each group has its part of every target, on both workers alike, and the books of all balance', async () => {
  const shares = fc.constantFrom([1, 9], [3, 1, 2], [1, 1]);
  const targets = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 2, maxLength: 4 });
  const play = async (all: readonly number[], wanted: readonly number[]): Promise<void> => {
    const groups = all.map((share, g) => group_of({ name: `g${g}`, share, actions: [ACTION] }));
    const swarm = await swarm_of(groups);
    const { coordinator, ledger } = swarm;
    let highest = 0;
    for (const target of wanted) {
      const reply = await coordinator.apply({ op: 'set', count: target, over_ms: 0 }, 'test');
      expect(reply.ok).toBe(true);
      const parts = group_targets(groups, target);
      const shown = (): string => `wanted ${parts.join()}, open ${JSON.stringify(swarm.open())}`;
      await until(shown, () => swarm.open().every((row, g) => sum(row) === parts[g]));
      await ledger.until(({ open }) => open === target);
      for (const row of swarm.open()) expect(Math.abs(row[0]! - row[1]!)).toBeLessThanOrEqual(1);
      highest = Math.max(highest, target);
      await until(
        () => `${swarm.ids().length} have spoken`,
        () => swarm.ids().length === target,
      );
      // each is the client of one group, and no two have one id
      const ids = swarm.ids();
      expect(new Set(ids).size).toBe(target);
      expect(Math.max(0, ...ids)).toBeLessThanOrEqual(highest);
      const of_group = groups.map((_, g) => ids.filter((id) => place_of(groups, WHOLE, id)!.group === g).length);
      expect(of_group).toEqual(parts);
    }
    await coordinator.apply({ op: 'stop', now: false }, 'test');
    const { summary, unconfirmed } = await coordinator.ended;
    expect([summary.balanced, unconfirmed]).toEqual([true, []]);
    expect(summary.actions.map(({ group, command }) => [group, command])).toEqual(
      groups.map(({ name }) => [name, 'hi']),
    );
    const books = await ledger.until(({ open }) => open === 0);
    expect(summary.connections.established).toBe(books.accepted);
    expect(sum(summary.actions.map(({ ok }) => ok))).toBe(coordinator.series.totals()!.rounds.ok);
    const by_group = new Map(
      coordinator.series
        .totals()!
        .actions()
        .map(({ group, ok }) => [group, ok]),
    );
    for (const { group, ok } of summary.actions) expect(by_group.get(group) ?? 0).toBe(ok);
    await swarm.close();
  };
  await fc.assert(fc.asyncProperty(shares, targets, play), { numRuns: 5 });
}, 300_000);
