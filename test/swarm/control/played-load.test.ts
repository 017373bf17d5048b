/** A load on one machine: the coordinator plays it, in a time that only moves when told. */
import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import type { Ended } from '../../../src/swarm/control/coordinator.ts';
import { FakeSwarm } from '../fake-swarm.ts';
import { command_of } from '../plan/by-hand.ts';
import { drawn_steps } from '../plan/drawn-loads.ts';
import { NaiveLoad, text_of, type NaiveStep } from '../plan/naive-load.ts';

const MAIN = [{ name: 'main', share: 1 }];
/** ms of a tick of the fake swarm's clock */
const TICK = 100;
/** ramps go on in steps of two */
const LATE_TICKS = 3;

/** Each of its ms becomes a tick. */
const slowed = (steps: readonly NaiveStep[]): NaiveStep[] =>
  steps.map((commands) =>
    commands.map((one) => {
      if ('over' in one) {
        const { in: _, ...all } = one;
        return { ...all, over: one.over * TICK };
      }
      return one.op === 'hold' ? { ...one, ms: one.ms * TICK } : one;
    }),
  );

const ungrouped = (steps: readonly NaiveStep[]): NaiveStep[] =>
  steps.map((commands) => {
    const first = commands.findIndex((one) => 'over' in one);
    return commands
      .filter((one, i) => !('over' in one) || i === first)
      .map((one) => ('over' in one ? { op: one.op, count: one.count, over: one.over } : one));
  });

const told = (swarm: FakeSwarm): string[] =>
  swarm.coordinator.events
    .last(1000)
    .filter(({ by }) => by === 'the load')
    .map(({ text }) => text);

async function ended(swarm: FakeSwarm, within_ms: number): Promise<Ended | null> {
  let end: Ended | null = null;
  void swarm.coordinator.ended.then((one) => (end = one));
  for (let left = within_ms; left > 0 && end === null; left -= TICK) await swarm.pass(TICK);
  return end;
}

test('plays its steps in order, each at its time, with as many clients as a stop-watch says', async () => {
  const steps_of = drawn_steps(MAIN, false).map(ungrouped);
  await fc.assert(
    fc.asyncProperty(steps_of, fc.integer({ min: 1, max: 3 }), async (steps, workers) => {
      const swarm = await FakeSwarm.up(['w1', 'w2', 'w3'].slice(0, workers));
      const text = text_of(slowed(steps));
      const naive = new NaiveLoad(MAIN, 1000);
      void swarm.coordinator.apply(command_of(`load ${text}`), 'somebody');
      naive.begin(steps);
      await swarm.settle();
      let lately: number[] = [];
      for (let ticks = 0; ticks < 60; ticks++) {
        if (naive.phase === 'drain') break;
        const { planned, target, phase, connect_per_s, load } = swarm.coordinator.summary();
        lately = [naive.planned[0]!, ...lately].slice(0, LATE_TICKS);
        expect(lately, `${text}: tick ${ticks}`).toContain(planned);
        expect({ target, phase, connect_per_s }, `${text}: tick ${ticks}`).toEqual({
          target: naive.targets[0],
          phase: naive.phase,
          connect_per_s: naive.per_s,
        });
        expect(load).toMatchObject({ step: Math.min(naive.step + 1, steps.length), steps: steps.length });
        expect(swarm.clients.reduce((all, one) => all + one, 0)).toBe(planned);
        expect(told(swarm)).toEqual(slowed(steps.slice(0, naive.step + 1)).map((one) => text_of([one])));
        naive.tick();
        await swarm.pass(TICK);
      }
      if (naive.phase !== 'drain') return void swarm.coordinator.apply({ op: 'stop', now: true }, 'somebody');
      const end = await ended(swarm, 10_000);
      expect(end).toMatchObject({ summary: { load: { state: 'over' }, clients: { live: 0 } }, unconfirmed: [] });
    }),
    { numRuns: 30 },
  );
});

it('stands still in a pause by hand, ends by hand, and says what comes', async () => {
  const swarm = await FakeSwarm.up(['w1']);
  expect(await swarm.ask(command_of('load set 10 over 2s; hold 3s; set 20; hold 5s'))).toBe(
    'OK playing 4 steps, at most 20 clients; now `set 10 over 2s`',
  );
  await swarm.pass(3000);
  expect(await swarm.ask(command_of('load hold 5'))).toMatch(/^ERR load_plays a load plays already, at `hold 3s`/);
  expect(await swarm.ask(command_of('incr 3'))).toMatch(/^OK target 13; the load goes on with `set 20`/);
  await swarm.ask({ op: 'pause' });
  await swarm.pass(60_000);
  expect(swarm.coordinator.summary()).toMatchObject({ phase: 'pause', target: 13, load: { state: 'paused', step: 2 } });
  await swarm.ask({ op: 'resume' });
  await swarm.pass(2500);
  expect(swarm.coordinator.summary()).toMatchObject({ phase: 'run', target: 20, load: { state: 'playing', step: 4 } });
  expect(await swarm.ask(command_of('load end'))).toBe('OK the load ends in `hold 5s`; what is planned stays');
  expect(await swarm.ask(command_of('load end'))).toMatch(/^ERR no_load/);
  await swarm.pass(10_000);
  expect(swarm.clients).toEqual([20]);
  // nothing looks for steps any more, and another load may begin
  expect(await swarm.ask(command_of('load decr 5; mark less'))).toMatch(/^OK playing 2 steps/);
  expect(swarm.coordinator.summary()).toMatchObject({ target: 15, mark: { text: 'less' }, load: { state: 'over' } });
});

it('goes on behind a wait when all are there, however long that takes', async () => {
  const swarm = await FakeSwarm.up(['w1', 'w2']);
  const [w1] = swarm.members;
  w1!.is_deaf = true;
  await swarm.ask(command_of('load set 10; wait within 1m; mark all there; set 4'));
  await swarm.pass(20_000);
  expect(swarm.coordinator.summary()).toMatchObject({ target: 10, mark: null, load: { state: 'waiting', step: 2 } });
  w1!.is_deaf = false;
  await swarm.ask(command_of('connect-rate 77'));
  await swarm.pass(3000);
  expect(swarm.coordinator.summary()).toMatchObject({
    target: 4,
    mark: { text: 'all there' },
    load: { state: 'over' },
  });
});

it('is given up when a wait cannot be met: the run ends, and says why', async () => {
  const swarm = await FakeSwarm.up(['w1', 'w2']);
  swarm.members[0]!.is_deaf = true;
  await swarm.ask(command_of('load set 10; wait ready within 5s; set 400'));
  const end = await ended(swarm, 60_000);
  expect(end!.summary).toMatchObject({
    load: { state: 'failed', step: 2, why: '`wait ready within 5s`: 5 of 10 clients were ready' },
    target: 10,
  });
});

it('is refused before it begins where it does not fit, or cannot be', async () => {
  const swarm = await FakeSwarm.up(['w1']);
  expect(await swarm.ask(command_of('load set 600; hold 1; incr 401'))).toMatch(
    /^ERR limit_files the load asks for 1001 clients at once, 1000 fit/,
  );
  expect(await swarm.ask(command_of('load set 6; hold 1; incr 1 in nobody'))).toMatch(
    /^ERR bad_load column 16 of the load: no group `nobody`/,
  );
  expect(swarm.coordinator.summary().load).toBe(undefined);
  expect(swarm.clients).toEqual([0]);
});
