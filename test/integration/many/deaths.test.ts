/** What a death costs: of an agent, of one of its workers. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../../src/metrics/summary.ts';
import { crowding, HAS_NATS, measured, until, World } from './kit.ts';

let world: World;
afterEach(() => world.close());

/** `swarm series`: its exit code, and what it says last. */
async function course_of({ run }: Summary): Promise<[number | string, string]> {
  const series = world.place.swarm('series', run.id, '--join', world.join, '--name', world.name);
  const exit = await series.exited;
  return [exit, series.err.trim().split('\n').at(-1)!];
}

describe.skipIf(!HAS_NATS)('a swarm of many machines', () => {
  it('reaches its target, stops, and its books equal the ledger’s', async () => {
    world = await World.open();
    await world.all_agents(3);
    const lead = await world.run();
    expect(await lead.ask('incr 120')).toMatch(/^OK target 120/);
    await world.until_open(120);
    await until('three agents hold 40 each', async () =>
      (await lead.status()).agents?.every(({ open }) => open === 40),
    );
    expect(await lead.ask('decr 31')).toMatch(/^OK target 89/);
    await world.until_open(89);
    expect(await lead.ask('incr 20 over 2s')).toMatch(/^OK target 109/);
    await world.until_open(109);
    const summary = await world.finish(lead);
    world.expect_exact(summary);
    expect(world.ledger.books().open_peak).toBeLessThanOrEqual(120);
    expect(await course_of(summary)).toEqual([0, 'adds up to the summary']);
  });

  it('an agent killed with -9: its clients go to the others, what it did last is named as missing', async () => {
    world = await World.open({ isolation: 3 });
    const [, , victim] = await world.all_agents(3, 2);
    const lead = await world.run();
    await lead.ask('incr 120');
    await world.until_open(120);
    // it has told of all it holds
    await until('the victim has reported', async () => (await world.presence(victim!)).open === 40);
    const [start, ended] = [performance.now(), world.ended];
    await world.kill(victim!);
    await until('its connections are gone', () => world.ended === ended + 40);
    await world.until_open(120);
    measured('back at the target after the death of an agent', performance.now() - start, world.written_off_ms + 1000);
    const summary = await world.finish(lead);
    expect(world.open_since(0).most).toBeLessThanOrEqual(120);
    expect(summary.complete).toBe(false);
    expect(summary.lost_workers).toMatchObject([{ worker: victim!.id, may_live: true }]);
    // nobody here knows that it is dead
    expect(summary.possibly_open).toBe(40);
    expect(lead.swarm.err).toMatch(new RegExp(`40 connections are possibly open.*: ${victim!.id}\\b`));
    const missing = world.missing_in(summary);
    console.log(`measured: missing of its counts: ${JSON.stringify(missing)}`);
    expect(missing.connections).toBe(0);
    expect(missing.requests).toBeGreaterThanOrEqual(0);
    // 40 clients, 5 requests a second each, 1 s and some
    expect(missing.requests).toBeLessThanOrEqual(40 * 5 * 2.5 * crowding());
    // up to five seconds of it are in no course
    const [exit, last] = await course_of(summary);
    expect(last).toMatch(exit === 0 ? /^adds up to/ : /^does not add up to/);
  });

  it('a worker of an agent killed with -9 is replaced at once', async () => {
    world = await World.open();
    const [first] = await world.all_agents(2, 2);
    const lead = await world.run();
    await lead.ask('incr 100');
    await world.until_open(100);
    const workers = (await lead.status()).workers.filter(({ id }) => id.startsWith(first!.id));
    expect(workers.length).toBe(2);
    await until('all have reported', async () => (await world.presence(first!)).open === 50);
    const [start, ended] = [performance.now(), world.ended];
    process.kill(workers[0]!.pid, 'SIGKILL');
    await until('its connections are gone', () => world.ended === ended + 25);
    await world.until_open(100);
    measured('back at the target after the death of a worker', performance.now() - start, 2000);
    const summary = await world.finish(lead);
    expect(world.open_since(0).most).toBeLessThanOrEqual(100);
    expect(summary.complete).toBe(false);
    expect(summary.lost_workers.map(({ worker }) => worker)).toEqual([workers[0]!.id]);
    expect(summary.errors).toMatchObject([{ code: 'worker_died', count: 1 }]);
    expect(summary.possibly_open).toBe(0);
    const missing = world.missing_in(summary);
    console.log(`measured: missing of its counts: ${JSON.stringify(missing)}`);
    expect(missing.connections).toBe(0);
    expect(missing.requests).toBeLessThanOrEqual(25 * 5 * 2.5 * crowding());
    expect(readFileSync(lead.file, 'utf8')).toContain(workers[0]!.incarnation);
  });
});
