import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';
import type { MachineSpec, Where } from '../../../src/swarm/plan/run-spec.ts';
import { id_at, parse_segment, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { KERNEL_CHOOSES_UP_TO, PortGrants, type PortNeed } from '../../../src/swarm/shares/port-grants.ts';
import { PORTS_PER_ADDRESS } from '../../../src/swarm/shares/ports.ts';

const SERVER = { host: '127.0.0.1', port: 1 };
const FAR = KERNEL_CHOOSES_UP_TO * 100;

const grants_for = (
  addresses: number,
  servers: Where['servers'] = [SERVER],
  segment: MachineSpec['segment'] = WHOLE,
): PortGrants =>
  new PortGrants(
    { servers },
    {
      segment,
      sources: {
        addresses: Array.from({ length: addresses }, (_, i) => `10.0.0.${i}`),
        excluded_ports: [],
        kernel_ports: [32_768, 60_999] as const,
        offset: 0,
      },
    },
  );
const need = (id: string, clients: number, step = 1): PortNeed => ({
  id,
  group: 0,
  clients,
  ids: clients === 0 ? [] : [[1, 1 + (clients - 1) * step, step]],
});
const size = ([ranges = []]: readonly (readonly IdRange[])[]): number =>
  ranges.reduce((all, [first, last, step]) => all + (last - first) / step + 1, 0);

describe('PortGrants', () => {
  it('leave ports to the kernel while they are cheap, unless addresses are given', () => {
    const grants = grants_for(0);
    grants.ensure(KERNEL_CHOOSES_UP_TO, [need('w1', KERNEL_CHOOSES_UP_TO)]);
    expect(grants.of('w1', 0)).toEqual([]);
    grants.ensure(KERNEL_CHOOSES_UP_TO + 1, [need('w1', KERNEL_CHOOSES_UP_TO + 1)]);
    expect(grants.of('w1', 0)).toEqual([[[1, 10_306, 1]]]); // a quarter more, and 64
    const bound = grants_for(1);
    bound.ensure(1, [need('w1', 1)]);
    expect(bound.of('w1', 0)).toEqual([[[1, 66, 1]]]);
  });

  it('go on when the target falls again', () => {
    const grants = grants_for(0);
    grants.ensure(FAR, [need('w1', 100), need('w2', 100)]);
    grants.ensure(2, [need('w1', 1), need('w2', 200)]);
    expect([size(grants.of('w1', 0)), size(grants.of('w2', 0))]).toEqual([189, 314]);
  });

  it('give to nobody without clients, and nothing for sockets without ports', () => {
    const grants = grants_for(1);
    grants.ensure(10, [need('w1', 10), need('w2', 0)]);
    expect(grants.of('w2', 0)).toEqual([[]]);
    const paths = grants_for(1, [{ host: '', port: 0, path: '/s' }]);
    paths.ensure(10, [need('w1', 10)]);
    expect(paths.of('w1', 0)).toEqual([[]]);
  });

  it('are what the member’s clients need towards each server, which depends on their ids', () => {
    const wanted = (clients: number): number => (clients === 0 ? 0 : Math.ceil(clients * 1.25) + 64);
    const servers = Array.from({ length: 4 }, () => SERVER);
    for (const [step, towards] of [
      [1, [1000, 1000, 1000, 1000]],
      [2, [2000, 0, 2000, 0]],
      [3, [1000, 1000, 1000, 1000]],
      [4, [4000, 0, 0, 0]],
      [6, [2000, 0, 2000, 0]],
    ] as const) {
      const grants = grants_for(16, servers);
      grants.ensure(4000, [need('w1', 4000, step)]);
      const sizes = grants.of('w1', 0).map((ranges) => size([ranges]));
      expect(sizes, `every ${step}. client`).toEqual(towards.map(wanted));
    }
  });

  it('are counted over the ids of the whole swarm when the clients are a segment of it', () => {
    const segment = parse_segment('1/4:1/2')!;
    const grants = grants_for(16, [SERVER, SERVER, SERVER, SERVER], segment);
    const hits = [0, 0, 0, 0];
    for (let index = 1; index <= 7999; index += 2) hits[(id_at(segment, index) - 1) % 4]!++;
    for (const clients of [500, 4000]) grants.ensure(4 * clients, [need('w1', clients, 2)]);
    const wanted = hits.map((clients) => Math.ceil(clients * 1.25) + 64);
    const sizes = grants.of('w1', 0).map((ranges) => size([ranges]));
    for (const [server, count] of sizes.entries()) expect(count).toBeGreaterThanOrEqual(wanted[server]!);
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(1.2 * wanted.reduce((a, b) => a + b, 0));
    grants.release('w1');
    grants.ensure(4, [need('w1', 1)]);
    // id 4 it is: place 400000
    expect(grants.of('w1', 0).map((ranges) => size([ranges]) > 0)).toEqual(
      [true, false, false, false].map((_, server) => (id_at(segment, 1) - 1) % 4 === server),
    );
  });

  it('suffice for as many clients as there are pairs, whatever the numbers of members and servers', () => {
    for (let servers = 1; servers <= 8; servers++)
      for (let members = 1; members <= 8; members++) {
        const grants = grants_for(
          0,
          Array.from({ length: servers }, () => SERVER),
        );
        const each = Math.floor((servers * PORTS_PER_ADDRESS) / members / 2);
        const needs = Array.from({ length: members }, (_, i): PortNeed => {
          return { id: `w${i}`, group: 0, clients: each, ids: [[i + 1, i + 1 + (each - 1) * members, members]] };
        });
        grants.ensure(FAR, needs);
        for (const { id, ids } of needs)
          for (const [server, ranges] of grants.of(id, 0).entries()) {
            const [first, last, step] = ids[0]!;
            let clients = 0;
            for (let n = first; n <= last; n += step) if ((n - 1) % servers === server) clients++;
            expect(size([ranges])).toBeGreaterThanOrEqual(clients);
          }
      }
  });

  it('divide what there is by the clients when it is too little for all', () => {
    const grants = grants_for(1);
    grants.ensure(FAR, [need('w1', 60_000), need('w2', 30_000), need('w3', 30_000)]);
    expect(['w1', 'w2', 'w3'].map((id) => size(grants.of(id, 0)))).toEqual([
      PORTS_PER_ADDRESS / 2,
      PORTS_PER_ADDRESS / 4,
      PORTS_PER_ADDRESS / 4,
    ]);
  });

  it('leave some for members that come later, however many groups there are', () => {
    const groups = Array.from({ length: 32 }, () => ({ share: 1 }));
    const { servers } = { servers: [SERVER] };
    const sources = { addresses: [], excluded_ports: [], kernel_ports: [32_768, 60_999] as const, offset: 0 };
    const grants = new PortGrants({ servers }, { segment: WHOLE, sources }, groups);
    const needs = (members: number, clients: number): PortNeed[] =>
      Array.from({ length: members }, (_, m) =>
        groups.map((_one, group) => ({ ...need(`w${m}`, clients / 32), group })),
      ).flat();
    grants.ensure(25_600, needs(16, 1600));
    grants.ensure(27_200, needs(17, 1600));
    for (let member = 0; member < 17; member++) {
      const owned = groups.reduce((all, _, group) => all + size(grants.of(`w${member}`, group)), 0);
      expect(owned).toBeGreaterThanOrEqual(1600);
    }
  });

  it('stay few ranges while a target creeps up', () => {
    const grants = grants_for(16);
    for (let clients = 1; clients <= 5000; clients++)
      grants.ensure(2 * clients, [need('w1', clients), need('w2', clients)]);
    expect(grants.of('w1', 0)[0]!.length).toBeLessThan(30);
    expect(size(grants.of('w1', 0))).toBeLessThan(5000 * 1.25 * 1.25 + 100);
  });

  const members = ['w1', 'w2', 'w3', 'w4'];
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ clients: fc.array(fc.nat(40_000), { minLength: 4, maxLength: 4 }) }) },
    fc.record({ dies: fc.constantFrom(...members) }),
  );

  it('give no number to two members at once and none beyond the last, and what a member has only grows', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.array(step, { maxLength: 15 }), (addresses, steps) => {
        const grants = grants_for(addresses);
        const total = Math.max(1, addresses) * PORTS_PER_ADDRESS;
        for (const one of steps) {
          const before = new Map(members.map((id) => [id, grants.of(id, 0)[0] ?? []]));
          if ('dies' in one) {
            grants.release(one.dies);
            before.delete(one.dies);
          } else
            grants.ensure(
              FAR,
              members.map((id, i) => need(id, one.clients[i]!, 4)),
            );
          const owned = new Uint8Array(total + 1);
          for (const [first, last, by] of members.flatMap((id) => grants.of(id, 0)[0] ?? [])) {
            for (let n = first; n <= last; n += by) owned[n]!++;
            expect(last).toBeLessThanOrEqual(total);
          }
          expect(Math.max(...[0, 1, 2].filter((n) => owned.includes(n)))).toBeLessThanOrEqual(1);
          for (const [id, ranges] of before) {
            const now = (grants.of(id, 0)[0] ?? []).slice(0, ranges.length);
            expect(now.map(([first, , by]) => [first, by])).toEqual(ranges.map(([first, , by]) => [first, by]));
            expect(now.slice(0, -1)).toEqual(ranges.slice(0, -1));
            expect(now.at(-1)?.[1] ?? 0).toBeGreaterThanOrEqual(ranges.at(-1)?.[1] ?? 0);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
