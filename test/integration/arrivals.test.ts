/** Clients that arrive at a rate: as many as the area below it, each plays its iterations and leaves. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsoleClient } from '../../src/console/console-client.ts';
import type { ArrivalsSummary, Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger } from '../ledger.ts';
import { until } from '../patience.ts';
import { Workplace, type SwarmProcess } from './swarm-process.ts';

const MODULE = `import { line } from 'swarm';
export const visit = (client) => client.send_for_reply('visit ' + client.id + '\\r\\n', line());
`;
const script = (sleep: number): string => `protocol: lines
actions:
  - { command: visit, rounds: 2, sleep_between_rounds: ${sleep}, sleep_after_action: 0 }
iterations: 1
`;

let place: Workplace;
let ledger: Ledger;
beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  ledger = await start_ledger({ reply: () => ({ text: 'OK' }) });
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

const FILE = (): string => join(place.folder, 'summary.json');
const summary = (): Summary => JSON.parse(readFileSync(FILE(), 'utf8')) as Summary;

function run(sleep: number, more: readonly string[] = []): SwarmProcess {
  const file = place.write('scripts/a.yml', script(sleep));
  const common = ['-r', `127.0.0.1:${ledger.port}`, '-s', file, '-l', '127.0.0.1:0', '--summary', FILE()];
  return place.swarm('run', ...common, '--connect-rate', '100000', ...more);
}

const dropped = ({ dropped: by_reason }: ArrivalsSummary): number =>
  Object.values(by_reason).reduce((all, one) => all + one, 0);

/** All that was planned is accounted for, and nobody is there any more. */
function expect_balanced(final: Summary): ArrivalsSummary {
  const [arrivals] = final.arrivals!;
  expect(final).toMatchObject({ balanced: true, clients: { live: 0, finished: 0 } });
  expect(arrivals).toMatchObject({
    group: 'main',
    live: 0,
    planned: arrivals!.started + dropped(arrivals!) + arrivals!.lost,
  });
  return arrivals!;
}

/** A rate of so many a second that is reached over some ms, and then held for some. */
interface Stage {
  readonly per_s: number;
  readonly over_ms: number;
  readonly hold_ms: number;
}

/** Slots of the whole, on paper: the area below the rates. */
function area(stages: readonly Stage[]): number {
  let [twice, rate] = [0, 0];
  for (const { per_s, over_ms, hold_ms } of stages) {
    twice += (rate + per_s) * over_ms + 2 * per_s * hold_ms;
    rate = per_s;
  }
  return Math.floor(twice / 2000);
}

const steps_of = (stages: readonly Stage[]): string =>
  stages.map(({ per_s, over_ms, hold_ms }) => `arrive ${per_s}/s over ${over_ms}ms; hold ${hold_ms}ms`).join('; ');

describe.each([0, 3])('with %i workers', (workers) => {
  const options = ['--workers', String(workers)];

  it('as many come as a load says, beside its clients, and the server saw them all', async () => {
    const stage = fc.record({
      per_s: fc.integer({ min: 20, max: 300 }),
      over_ms: fc.integer({ min: 1, max: 1500 }),
      hold_ms: fc.integer({ min: 1, max: 700 }),
    });
    const [stages] = fc.sample(fc.array(stage, { minLength: 3, maxLength: 5 }), 1);
    const load = `set 10; wait within 100s; ${steps_of(stages!)}; arrive 0/s; wait done within 100s; stop`;
    const swarm = run(0, [...options, '--load', load]);
    expect(await swarm.exited, `${load}\n${swarm.err}`).toBe(0);
    await ledger.settled();
    const final = summary();
    const arrivals = expect_balanced(final);
    const planned = area(stages!);
    expect(arrivals, load).toMatchObject({ planned, started: planned, lost: 0 });
    expect(final.clients.created).toBe(planned + 10);
    expect(ledger.books().accepted).toBe(planned + 10);
  });

  it('no more are there at a time than at_most says, and what comes to nobody is dropped', async () => {
    const load = 'arrive 100/s at_most 7; hold 2s; arrive 100/s at_most 9; hold 2s; stop';
    const swarm = run(1, [...options, '--load', load]);
    expect(await swarm.exited, swarm.err).toBe(0);
    await ledger.settled();
    const final = summary();
    const arrivals = expect_balanced(final);
    expect(arrivals.planned).toBe(400);
    expect(arrivals.dropped.no_room).toBe(400 - arrivals.started);
    expect(arrivals.started).toBeGreaterThanOrEqual(9);
    expect(final.clients.peak).toBeLessThanOrEqual(9);
    expect(ledger.books()).toMatchObject({ accepted: arrivals.started });
  });

  it('they stand still in a pause, are changed while they run, are in no target, and a stop drains them', async () => {
    const swarm = run(1000, options);
    const console = await swarm.console();
    await said(console, 'arrive 60/s');
    await arrived(console, 20);
    await said(console, 'pause');
    const { arrivals, run: paused } = await status(console);
    await until('a second passes', async () => (await status(console)).run.seconds >= paused.seconds + 1);
    const { planned, started } = arrivals![0]!;
    expect((await status(console)).arrivals![0]).toMatchObject({ planned, started, live: started });
    await said(console, 'resume');
    await said(console, 'incr 5');
    await said(console, 'arrive 100/s over 1s poisson');
    await arrived(console, started + 50);
    await said(console, 'arrive 0/s');
    const before = (await status(console)).arrivals![0]!;
    await said(console, 'set 0');
    await until('the target is left', async () => (await status(console)).clients.live === before.started);
    expect(await status(console)).toMatchObject({ target: 0, planned: 0, arrivals: [{ live: before.started }] });
    await said(console, 'stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    await ledger.settled();
    const final = summary();
    expect(expect_balanced(final)).toMatchObject({ started: before.started, lost: 0 });
    expect(final.clients).toMatchObject({ created: before.started + 5, killed: { decr: 5, stop: before.started } });
  });
});

it.each([
  ['as many as fit', '', 300, Infinity],
  ['at most 60', ' at_most 60', 90, 60],
])('a worker is killed: its clients are lost, others go on with its slots: %s', async (_, bound, seen, most) => {
  const stages = [{ per_s: 200, over_ms: 500, hold_ms: 7000 }];
  const load = steps_of(stages).replace(';', `${bound};`);
  const swarm = run(2, ['--workers', '3', '--load', `${load}; stop`]);
  const console = await swarm.console();
  await arrived(console, seen);
  const { workers } = await status(console);
  process.kill(workers[1]!.pid, 'SIGKILL');
  await swarm.exited;
  await ledger.settled();
  const final = summary();
  const arrivals = expect_balanced(final);
  expect(arrivals.planned).toBe(area(stages));
  expect(final.clients.lost).toBeGreaterThan(0);
  expect(final.clients.peak).toBeLessThanOrEqual(most);
  expect(final.clients.created).toBe(arrivals.started);
  // what it started since it told of it last is known to the server alone
  expect(arrivals.started).toBeLessThanOrEqual(ledger.books().accepted);
  expect(arrivals.started + arrivals.lost).toBe(arrivals.planned - dropped(arrivals));
  expect(arrivals.lost).toBeLessThanOrEqual(600);
});

it('stopped in the middle, it has done what was due by then', async () => {
  const swarm = run(1000, ['--workers', '2', '--load', 'arrive 200/s over 20s; hold 1h; stop']);
  const console = await swarm.console();
  await arrived(console, 50);
  await said(console, 'stop');
  await swarm.exited;
  await ledger.settled();
  const final = summary();
  const { started, lost } = expect_balanced(final);
  expect(final).toMatchObject({ load: { state: 'stopped' }, clients: { created: started, killed: { stop: started } } });
  expect([started >= 50, lost]).toEqual([true, 0]);
  expect(ledger.books().accepted).toBeLessThanOrEqual(started);
});

const status = async (console: ConsoleClient): Promise<Summary> =>
  JSON.parse((await console.ask('status json'))[0]!.replace(/^OK /, '')) as Summary;

const arrived = async (console: ConsoleClient, clients: number): Promise<void> => {
  await until(`${clients} came`, async () => ((await status(console)).arrivals?.[0]?.started ?? 0) >= clients);
};

const said = async (console: ConsoleClient, line: string): Promise<void> => {
  expect((await console.ask(line, 180_000))[0]).toMatch(/^OK/);
};
