/** Messages at a rate over held connections: what was planned on paper is what swarm counts, and what the server got. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsoleClient } from '../../src/console/console-client.ts';
import type { ActionSummary, Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../ledger.ts';
import { until } from '../patience.ts';
import { Workplace, type SwarmProcess } from './swarm-process.ts';

const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping ' + client.id + '\\r\\n', line());
export const beat = (client) => client.send_for_reply('beat ' + client.id + '\\r\\n', line());
`;
const SCRIPT = `protocol: lines
actions:
  - { command: beat, sleep_between_rounds: [0.05, 0.2], sleep_after_action: 0 }
  - { command: ping, rate: 0/s, give_up: 2 }
`;

let place: Workplace;
let ledger: Ledger;
let pings = 0;
const serve = async (options: LedgerOptions = {}): Promise<void> => {
  ledger = await start_ledger({
    reply: (line) => {
      if (line.startsWith('ping')) pings++;
      return { text: 'OK' };
    },
    ...options,
  });
};
beforeEach(async () => {
  pings = 0;
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  await serve();
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

const FILE = (): string => join(place.folder, 'summary.json');
const summary = (): Summary => JSON.parse(readFileSync(FILE(), 'utf8')) as Summary;

function run(script: string, more: readonly string[] = []): SwarmProcess {
  const file = place.write('scripts/a.yml', script);
  const common = ['-r', `127.0.0.1:${ledger.port}`, '-s', file, '-l', '127.0.0.1:0', '--summary', FILE()];
  return place.swarm('run', ...common, ...more);
}

type Slots = NonNullable<ActionSummary['slots']>;
const slots_of = ({ actions }: Summary): Slots => actions.find(({ command }) => command === 'ping')!.slots!;
const dropped = ({ dropped: by_reason }: Slots): number => Object.values(by_reason).reduce((all, one) => all + one, 0);

/** All that was planned is accounted for, and nobody counts what the server did not get. */
function expect_balanced(final: Summary): Slots {
  const slots = slots_of(final);
  expect(final.balanced).toBe(true);
  expect(slots.waiting).toBe(0);
  expect(slots.planned).toBe(slots.started + dropped(slots) + slots.lost);
  return slots;
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
  stages.map(({ per_s, over_ms, hold_ms }) => `rate ping ${per_s}/s over ${over_ms}ms; hold ${hold_ms}ms`).join('; ');

describe.each([0, 3])('with %i workers', (workers) => {
  const options = ['--workers', String(workers)];

  it('a load fires as many as its rates come to, and stops with them', async () => {
    const stage = fc.record({
      per_s: fc.integer({ min: 20, max: 400 }),
      over_ms: fc.integer({ min: 1, max: 1500 }),
      hold_ms: fc.integer({ min: 1, max: 700 }),
    });
    const [stages] = fc.sample(fc.array(stage, { minLength: 3, maxLength: 6 }), 1);
    const load = `set 30; wait ready within 100s; ${steps_of(stages!)}; stop`;
    const swarm = run(SCRIPT, [...options, '--load', load]);
    expect(await swarm.exited, `${load}\n${swarm.err}`).toBe(0);
    await ledger.settled();
    const slots = expect_balanced(summary());
    expect(slots, load).toMatchObject({ planned: area(stages!), lost: 0, started: pings });
  });

  it('rates are changed while they run, stand still in a pause, and end with the run', async () => {
    const swarm = run(SCRIPT, options);
    const console = await swarm.console();
    for (const line of ['incr 30', 'wait ready within 100s']) await said(console, line);
    await said(console, 'rate ping 500/s poisson');
    await fired(console, 300);
    await said(console, 'rate ping 100/s over 2s');
    await fired(console, 500);
    await said(console, 'pause');
    // all members said what they had when they answered
    const { actions, run: paused } = await status(console);
    await until('two seconds pass', async () => (await status(console)).run.seconds >= paused.seconds + 2);
    expect(slots_of(await status(console))).toEqual(slots_of({ actions } as Summary));
    await said(console, 'resume');
    await fired(console, 700);
    await said(console, 'stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    await ledger.settled();
    expect(expect_balanced(summary()).started).toBe(pings);
  });

  it('a server that goes away and comes back: what could not be sent was dropped, and nothing comes in a burst', async () => {
    const swarm = run(SCRIPT, [...options, '--reconnect-delay', '100ms']);
    const console = await swarm.console();
    for (const line of ['incr 20', 'wait ready within 100s', 'rate ping 300/s']) await said(console, line);
    await fired(console, 300);
    const { port } = ledger;
    await ledger.close();
    await until('slots are given up', async () => slots_of(await status(console)).dropped.no_free_client > 100);
    const before = pings;
    await serve({ port });
    const planned_before = slots_of(await status(console)).planned;
    await until('they are fired again', () => pings > before + 300);
    // what waits is at most what give_up (2 s) left, whatever was planned since
    const { planned } = slots_of(await status(console));
    expect(pings - before).toBeLessThanOrEqual(planned - planned_before + 2 * 300 + 300);
    await said(console, 'stop');
    await swarm.exited;
    const slots = expect_balanced(summary());
    expect(dropped(slots)).toBeGreaterThan(100);
  });
});

it('a worker is killed: others go on with its slots, each of which is somebody’s or lost', async () => {
  const stages = [{ per_s: 400, over_ms: 500, hold_ms: 9000 }];
  const swarm = run(SCRIPT, ['--workers', '3', '--load', `set 30; wait ready within 100s; ${steps_of(stages)}; stop`]);
  const console = await swarm.console();
  await fired(console, 600);
  const { workers } = await status(console);
  process.kill(workers[1]!.pid, 'SIGKILL');
  await swarm.exited;
  await ledger.settled();
  const slots = expect_balanced(summary());
  expect(slots.planned).toBe(area(stages));
  // what it started since it told of it last is known to the server alone
  expect(slots.started).toBeLessThanOrEqual(pings);
  expect(slots.lost).toBeLessThanOrEqual(1200);
});

const status = async (console: ConsoleClient): Promise<Summary> =>
  JSON.parse((await console.ask('status json'))[0]!.replace(/^OK /, '')) as Summary;

const fired = async (console: ConsoleClient, slots: number): Promise<void> => {
  await until(`${slots} are fired`, async () => (slots_of(await status(console))?.started ?? 0) >= slots);
};

const said = async (console: ConsoleClient, line: string): Promise<void> => {
  expect((await console.ask(line, 180_000))[0]).toMatch(/^OK/);
};

describe('a generator that is held up says so', () => {
  const BLOCKING = `${MODULE}
let calls = 0;
export const stuck = async (client) => {
  if (++calls % 200 === 0) for (const end = performance.now() + 400; performance.now() < end;);
  await ping(client);
};
`;
  const events = async (console: ConsoleClient): Promise<string> => (await console.ask('events 1000')).join('\n');

  it('when its process was stopped', async () => {
    const swarm = run(SCRIPT, ['--workers', '1']);
    const console = await swarm.console();
    for (const line of ['incr 20', 'wait ready within 100s', 'rate ping 200/s']) await said(console, line);
    await fired(console, 200);
    const { pid } = (await status(console)).workers[0]!;
    await until('it is said', async () => {
      process.kill(pid, 'SIGSTOP');
      await new Promise((done) => setTimeout(done, 300));
      process.kill(pid, 'SIGCONT');
      return / (lag|late)/.test(await events(console));
    });
    expect(await events(console)).toMatch(
      /the event loop of w1 was \d+ ms late|slots of ping started more than 10 ms late/,
    );
    expect((await status(console)).saturated_seconds).toBeGreaterThan(0);
    await said(console, 'stop');
    await swarm.exited;
    expect_balanced(summary());
  });

  it('when a function of the module keeps the process to itself, and --strict makes 98 of it', async () => {
    place.write('protocols/lines.js', BLOCKING);
    const script = 'protocol: lines\nactions:\n  - { name: ping, command: stuck, rate: 0/s }\n';
    const load = 'set 20; wait ready within 100s; rate ping 200/s; hold 5s; stop';
    const swarm = run(script, ['--strict', '--load', load]);
    expect(await swarm.exited, swarm.err).toBe(98);
    expect(swarm.err).toMatch(/--strict: the load was not played as planned: swarm was saturated for \d+ s/);
    expect(summary().saturated_seconds).toBeGreaterThan(0);
  });
});
