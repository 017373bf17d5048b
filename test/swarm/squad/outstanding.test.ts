import { describe, expect, it } from 'vitest';
import { Outstanding } from '../../../src/swarm/squad/outstanding.ts';

describe('Outstanding', () => {
  it('may run nothing before the first order', () => expect(new Outstanding().may).toBe(0));

  it('may run the highest order since the one acknowledged last', () => {
    const orders = new Outstanding();
    orders.add(1, 10);
    orders.add(2, 4);
    orders.add(3, 7);
    expect(orders.may).toBe(10);
    orders.acknowledge(1);
    expect(orders.may).toBe(10);
    orders.acknowledge(2);
    expect(orders.may).toBe(7);
    orders.acknowledge(3);
    expect(orders.may).toBe(7);
  });

  it('an order repeated under later revisions is acknowledged by any of them', () => {
    const orders = new Outstanding();
    orders.add(1, 10);
    orders.add(2, 4);
    orders.add(9, 4);
    orders.acknowledge(5);
    expect(orders.may).toBe(4);
  });

  it('an acknowledgement that comes late takes nothing back', () => {
    const orders = new Outstanding();
    orders.add(1, 10);
    orders.add(2, 4);
    orders.acknowledge(2);
    orders.acknowledge(1);
    expect(orders.may).toBe(4);
  });

  it('stays small while a silent member is told less and less, and never says too little', () => {
    const orders = new Outstanding();
    for (let i = 0; i < 10_000; i++) orders.add(i + 1, 10_000 - i);
    expect(orders.may).toBe(10_000);
    orders.acknowledge(9_999);
    expect(orders.may).toBeGreaterThanOrEqual(2);
    orders.acknowledge(10_000);
    expect(orders.may).toBe(1);
  });

  it('forgets all of a dead process', () => {
    const orders = new Outstanding();
    orders.add(1, 10);
    orders.clear();
    expect(orders.may).toBe(0);
  });
});
