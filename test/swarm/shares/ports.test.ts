import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sources } from '../../../src/swarm/plan/run-spec.ts';
import { numbers_of, PortPool, Ports, PORTS_PER_ADDRESS } from '../../../src/swarm/shares/ports.ts';

const sources = (more: Partial<Sources> = {}): Sources => ({
  addresses: [],
  excluded_ports: [],
  kernel_ports: [32_768, 60_999],
  offset: 0,
  ...more,
});

describe('Ports', () => {
  it('numbers all pairs: addresses take turns, every pair once', () => {
    const of = sources({ addresses: ['10.0.0.1', '10.0.0.2', '::1'], offset: 12_345 });
    const ports = new Ports(of);
    expect(numbers_of(of)).toBe(3 * PORTS_PER_ADDRESS);
    const pairs = new Set<string>();
    for (let number = 1; number <= numbers_of(of); number++) {
      const port = ports.port(number);
      if (port < 1024 || port > 65_535) throw new Error(`${number} is port ${port}`);
      pairs.add(`${ports.address(number)} ${port}`);
    }
    expect(pairs.size).toBe(numbers_of(of));
    expect(new Set([1, 2, 3].map((number) => ports.address(number))).size).toBe(3);
  });

  it('takes the kernel’s own range last, and never all of it', () => {
    const of = sources({ offset: 40_000 });
    const ports = new Ports(of);
    const all = Array.from({ length: numbers_of(of) }, (_, i) => ports.port(i + 1));
    const is_kernels = (port: number): boolean => port >= 32_768 && port <= 60_999;
    const outside = 31_744 + 4536;
    expect(all.slice(0, outside).some(is_kernels)).toBe(false);
    expect(all.slice(outside).every(is_kernels)).toBe(true);
    expect(60_999 - 32_768 + 1 - (all.length - outside)).toBe(1024);
  });

  it.each([
    [1024, 65_535],
    [1, 70],
    [1024, 1024],
    [60_000, 65_535],
  ])('numbers each port once when the kernel’s range is %i-%i', (first, last) => {
    const of = sources({ kernel_ports: [first, last], offset: 1_000_003 });
    const ports = new Ports(of);
    const all = new Set(Array.from({ length: numbers_of(of) }, (_, i) => ports.port(i + 1)));
    expect(all.size).toBe(PORTS_PER_ADDRESS);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(1024);
    expect(Math.max(...all)).toBeLessThanOrEqual(65_535);
  });

  it('has nothing without a grant, and no more than what was granted', () => {
    const ports = new Ports(sources());
    const pool = new PortPool();
    expect(ports.take(pool, 0, 4)).toBe(0);
    ports.grant([[[3, 7, 2]]]);
    expect([0, 1, 2, 3].map(() => ports.take(pool, 0, 4))).toEqual([3, 5, 7, 0]);
    ports.grant([
      [
        [3, 9, 2],
        [20, 20, 1],
      ],
    ]);
    expect([0, 1, 2].map(() => ports.take(pool, 0, 4))).toEqual([9, 20, 0]);
  });

  it('uses a pair towards each endpoint', () => {
    const ports = new Ports(sources());
    ports.grant([[[1, 1, 1]]]);
    expect(ports.take(new PortPool(), 0, 4)).toBe(1);
    expect(ports.take(new PortPool(), 0, 4)).toBe(1);
  });

  it('gives fresh ones first, then what is free for the longest time', () => {
    const ports = new Ports(sources());
    const pool = new PortPool();
    ports.grant([[[1, 3, 1]]]);
    ports.take(pool, 0, 4);
    ports.take(pool, 0, 4);
    ports.give_back(pool, 2);
    ports.give_back(pool, 1);
    expect([0, 1, 2, 3].map(() => ports.take(pool, 0, 4))).toEqual([3, 2, 1, 0]);
  });

  it('never gives an excluded port, nor an address of another family', () => {
    const ports = new Ports(sources({ addresses: ['10.0.0.1', '::1'], excluded_ports: [1025] }));
    ports.grant([[[1, 8, 1]]]);
    const taken = (family: 4 | 6): string[] => {
      const pool = new PortPool();
      const all = [];
      for (let number = ports.take(pool, 0, family); number > 0; number = ports.take(pool, 0, family))
        all.push(`${ports.address(number)} ${ports.port(number)}`);
      return all;
    };
    expect(taken(4)).toEqual(['10.0.0.1 1024', '10.0.0.1 1026', '10.0.0.1 1027']);
    expect(taken(6)).toEqual(['::1 1024', '::1 1026', '::1 1027']);
  });

  it('holds each pair at most once, whatever the order of taking and giving back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 10 }), { maxLength: 300 }), (steps) => {
        const ports = new Ports(sources());
        const pool = new PortPool();
        ports.grant([[[1, 90, 1]]]);
        const held: number[] = [];
        for (const step of steps) {
          if (step < 0) held.splice(0, -step).forEach((number) => ports.give_back(pool, number));
          else
            for (let i = 0; i < step; i++) {
              const number = ports.take(pool, 0, 4);
              if (number === 0) expect(held).toHaveLength(90);
              else held.push(number);
            }
        }
        expect(new Set(held).size).toBe(held.length);
      }),
    );
  });
});
