import { afterEach, expect, it } from 'vitest';
import { Workplace } from './swarm-process.ts';

const place = new Workplace();
afterEach(() => place.close());

it('swarm demo steers a swarm through the console and says how to go on', async () => {
  const swarm = place.swarm('demo');
  expect(await swarm.exited).toBe(0);
  expect(swarm.err).toBe('');
  const steps = [
    'swarm> incr 200\nOK target 200\n',
    'swarm> wait within 30s\nOK 200 open\n',
    'swarm> status',
    'target 200, planned 200, live 200',
    'swarm> actions\nOK ',
    'swarm> decr 50\nOK target 150\n',
    'swarm> stop\nOK stopping',
    'the books balance\n',
    'npm start -- --server',
  ];
  let at = 0;
  for (const step of steps) {
    const found = swarm.out.indexOf(step, at);
    expect(found, `${step} in:\n${swarm.out.slice(at)}`).toBeGreaterThanOrEqual(0);
    at = found + step.length;
  }
  expect(swarm.out).toContain('connections: attempted 200, failed 0, established 200, closed 200');
  expect(swarm.out).not.toContain('\x1b');
  expect(place.left_behind).toEqual([]);
});
