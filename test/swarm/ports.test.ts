import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numbers_of, PortPool, Ports, PORTS_PER_ADDRESS } from '../../src/swarm/ports.ts';
import type { Sources } from '../../src/swarm/plan.ts';

const sources = (more: Partial<Sources> = {}): Sources => ({ addresses: [], excluded_ports: [], offset: 0, ...more });

describe('Ports', () => {
  it('numbers all pairs: addresses take turns, every pair once', () => {
    const of = sources({ addresses: ['10.0.0.1', '10.0.0.2', '::1'], offset: 12_345 });
    const ports = new Ports(of);
    expect(numbers_of(of)).toBe(3 * PORTS_PER_ADDRESS);
    const pairs = new Set<string>();
    for (let number = 1; number <= numbers_of(of); number++) {
      const port = ports.port(number);
      expect(port >= 1024 && port <= 65_535).toBe(true);
      pairs.add(`${ports.address(number)} ${port}`);
    }
    expect(pairs.size).toBe(numbers_of(of));
    expect(new Set([1, 2, 3].map((number) => ports.address(number))).size).toBe(3);
  });

  it('has nothing without a grant, and no more than what was granted', () => {
    const ports = new Ports(sources());
    const pool = new PortPool();
    expect(ports.take(pool, 4)).toBe(0);
    ports.grant([[3, 7, 2]]);
    expect([0, 1, 2, 3].map(() => ports.take(pool, 4))).toEqual([3, 5, 7, 0]);
    ports.grant([
      [3, 9, 2],
      [20, 20, 1],
    ]);
    expect([0, 1, 2].map(() => ports.take(pool, 4))).toEqual([9, 20, 0]);
  });

  it('uses a pair towards each endpoint', () => {
    const ports = new Ports(sources());
    ports.grant([[1, 1, 1]]);
    expect(ports.take(new PortPool(), 4)).toBe(1);
    expect(ports.take(new PortPool(), 4)).toBe(1);
  });

  it('gives fresh ones first, then what is free for the longest time', () => {
    const ports = new Ports(sources());
    const pool = new PortPool();
    ports.grant([[1, 3, 1]]);
    ports.take(pool, 4);
    ports.take(pool, 4);
    ports.give_back(pool, 2);
    ports.give_back(pool, 1);
    expect([0, 1, 2, 3].map(() => ports.take(pool, 4))).toEqual([3, 2, 1, 0]);
  });

  it('never gives an excluded port, nor an address of another family', () => {
    const ports = new Ports(sources({ addresses: ['10.0.0.1', '::1'], excluded_ports: [1025] }));
    ports.grant([[1, 8, 1]]);
    const taken = (family: 4 | 6): string[] => {
      const pool = new PortPool();
      const all = [];
      for (let number = ports.take(pool, family); number > 0; number = ports.take(pool, family))
        all.push(`${ports.address(number)} ${ports.port(number)}`);
      return all;
    };
    expect(taken(4)).toEqual(['10.0.0.1 1024', '10.0.0.1 1026', '10.0.0.1 1027']);
    expect(taken(6)).toEqual(['::1 1024', '::1 1026', '::1 1027']);
    expect([1, 2].map((client) => ports.address_of_family(6, client))).toEqual(['::1', '::1']);
    expect(new Ports(sources()).address_of_family(4, 1)).toBeUndefined();
  });

  it('holds each pair at most once, whatever the order of taking and giving back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 10 }), { maxLength: 300 }), (steps) => {
        const ports = new Ports(sources());
        const pool = new PortPool();
        ports.grant([[1, 90, 1]]);
        const held: number[] = [];
        for (const step of steps) {
          if (step < 0) held.splice(0, -step).forEach((number) => ports.give_back(pool, number));
          else
            for (let i = 0; i < step; i++) {
              const number = ports.take(pool, 4);
              if (number === 0) expect(held).toHaveLength(90);
              else held.push(number);
            }
        }
        expect(new Set(held).size).toBe(held.length);
      }),
    );
  });
});
