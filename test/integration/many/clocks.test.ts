/** Clocks that are wrong: nothing is computed from what machines think the time is. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { HAS_NATS, until, World } from './kit.ts';

const LIBRARY = find_library();
if (LIBRARY === null)
  console.warn('libfaketime is not installed (apt install libfaketime): tests of clocks are skipped');
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Debian keeps it in the folder of the machine's architecture. */
function find_library(): string | null {
  if (!existsSync('/usr/lib')) return null;
  const folders = readdirSync('/usr/lib').map((name) => join('/usr/lib', name, 'faketime/libfaketimeMT.so.1'));
  return folders.find((file) => existsSync(file)) ?? null;
}

/** Behind it a program reads another wall clock; its monotonic clock stays right. */
const with_clock = (...settings: string[]): string[] => [
  'env',
  `LD_PRELOAD=${LIBRARY}`,
  'FAKETIME_DONT_FAKE_MONOTONIC=1',
  'DONT_FAKE_MONOTONIC=1',
  ...settings,
];

let world: World;
afterEach(() => world.close());

describe.skipIf(!HAS_NATS || LIBRARY === null)('clocks', () => {
  it('an hour ahead, an hour behind, and one that jumps: latencies, lease and shares stay as they are', async () => {
    world = await World.open({ isolation: '20s', lease: '5s' });
    const time = world.place.write('clock', '+0');
    const right = await world.agent();
    const ahead = await world.agent(1, with_clock('FAKETIME=+3600'));
    const jumps = await world.agent(1, with_clock(`FAKETIME_TIMESTAMP_FILE=${time}`, 'FAKETIME_NO_CACHE=1'));
    // an hour behind, and it leads
    const lead = await world.through(with_clock('FAKETIME=-3600'), 'run');
    const other = await world.attach();
    await lead.ask('incr 90');
    await world.until_open(90);
    const { id: holder, term } = (await world.lease())!;
    const start = performance.now();
    const offsets = async (): Promise<Record<string, number>> =>
      Object.fromEntries((await other.status()).agents!.map(({ id, offset_ms }) => [id, offset_ms!]));
    await until('the hour is seen', async () => Math.abs((await offsets())[ahead.id]! - HOUR_MS) < MINUTE_MS);
    expect(Math.abs((await offsets())[right.id]!)).toBeLessThan(MINUTE_MS);
    const of_lead = (await lead.status()).agents!.find(({ id }) => id === ahead.id)!.offset_ms!;
    expect(Math.abs(of_lead - 2 * HOUR_MS)).toBeLessThan(MINUTE_MS);
    console.log(
      `measured: offsets by a right clock ${JSON.stringify(await offsets())}, ${of_lead} ms by the wrong one`,
    );
    for (const setting of ['+7200', '-7200', '+86400', '+0']) {
      writeFileSync(time, setting);
      await sleep(2500);
    }
    writeFileSync(time, '-7200');
    // the newest ten say how far it is off: the highest of them came fastest
    await until('the jump is seen', async () => Math.abs((await offsets())[jumps.id]! + 2 * HOUR_MS) < MINUTE_MS);
    expect(await other.ask('agents')).toMatch(new RegExp(`${ahead.id}.* 3[56]\\d{5} ms`));
    expect(await lead.ask('incr 9')).toBe('OK target 99');
    expect(await other.ask('incr 9')).toBe('OK target 108');
    await world.until_open(108);
    expect(await world.lease()).toMatchObject({ id: holder, term });
    expect(term).toBe(1);
    for (const agent of [right, ahead, jumps]) expect((await world.presence(agent)).fenced).toBe(0);
    expect((await world.plan()).departed).toEqual([]);
    expect(world.open_since(start).least).toBeGreaterThanOrEqual(90);
    const summary = await world.finish(lead);
    world.expect_exact(summary);
    const [{ service_ms, response_ms }] = summary.actions as [(typeof summary.actions)[0]];
    console.log(
      `measured: p99 ${service_ms.p99} ms, at most ${service_ms.max} ms; connects at most ${summary.connections.connect_ms.max} ms`,
    );
    for (const latency of [service_ms, response_ms, summary.connections.connect_ms]) {
      expect(latency.min).toBeGreaterThanOrEqual(0);
      expect(latency.p99).toBeLessThan(MINUTE_MS);
      expect(latency.max).toBeLessThan(MINUTE_MS);
    }
    expect(summary.run.seconds).toBeLessThan((performance.now() - start) / 1000 + 30);
  });
});
