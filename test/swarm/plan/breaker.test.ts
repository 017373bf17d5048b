import { expect, it } from 'vitest';
import { Breaker } from '../../../src/swarm/plan/breaker.ts';

it('doubles the delay up to 5 s, forgetting deaths older than a minute', () => {
  const breaker = new Breaker();
  expect([0, 1000, 2000, 3000].map((at) => breaker.died(at).delay_ms)).toEqual([100, 200, 400, 800]);
  expect(breaker.died(61_500)).toEqual({ delay_ms: 400, is_open: false });
  expect(breaker.died(500_000)).toEqual({ delay_ms: 100, is_open: false });
});

it('opens at the fifth death in a minute, tries once a minute, closes on success', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 4; i++) expect(breaker.died(i).is_open).toBe(false);
  expect(breaker.died(4)).toEqual({ delay_ms: 60_000, is_open: true });
  expect(breaker.died(60_100)).toEqual({ delay_ms: 60_000, is_open: true });
  breaker.succeeded();
  expect(breaker.died(120_300)).toEqual({ delay_ms: 100, is_open: false });
});

it('hellos between deaths do not hide that it dies all the time', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 4; i++) {
    breaker.died(i * 1000);
    breaker.succeeded();
  }
  expect(breaker.died(5000).is_open).toBe(true);
});
