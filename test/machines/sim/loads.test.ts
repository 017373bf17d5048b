/** Loads that are played by many machines: who dies or loses its memory meanwhile changes nothing but waits. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RunEnd } from '../../../src/machines/coordinator/leading.ts';
import { evolve } from '../../../src/machines/store/evolve.ts';
import { targets_of } from '../../../src/swarm/plan/intent.ts';
import { advance, awaited, piece_at } from '../../../src/swarm/plan/load-play.ts';
import { started } from './started.ts';
import type { SimSwarm } from './swarm.ts';

/** From an order to its being carried out: an agent's look at its ramps, what a crew takes, and what clocks differ by. */
const FOLLOWED_MS = 700;
const STEP_MS = 100;
const LEASE_MS = 2000;

const run_ms = ({ world, truth }: SimSwarm): number => world.now - truth.run_started;

const load_now = (swarm: SimSwarm) => advance(swarm.truth.desired!, swarm.groups, run_ms(swarm));

const held = ({ groups, truth }: SimSwarm): number[] => groups.map(({ name }) => truth.held_of(name));

/** What the newest plan comes to by now, if all follow it. */
const known_of = (swarm: SimSwarm): number[] => {
  const { members } = evolve(swarm.truth.plan!, run_ms(swarm));
  const share = (name: string): number =>
    Object.values(members).reduce((all, { groups }) => all + (groups[name]?.ramp.to ?? 0), 0);
  return swarm.groups.map(({ name }) => share(name));
};

const said = ({ world }: SimSwarm): string => world.notes.slice(-40).join('\n');

const changes = fc.array(
  fc.record({
    op: fc.constantFrom('set', 'incr', 'decr'),
    /** of what fits, so many hundredths */
    part: fc.integer({ min: 1, max: 30 }),
    group: fc.option(fc.nat(9), { nil: null }),
    over_ms: fc.constantFrom(0, 500, 1500, 3000),
  }),
  { minLength: 2, maxLength: 6 },
);

test('nobody leads, or the engine is away: all go on as they know, and a new leader finds nothing to do', async () => {
  const play = async (
    seed: number,
    agents: number,
    shares: readonly number[],
    drawn: typeof changes extends fc.Arbitrary<infer T> ? T : never,
    how: 'leader' | 'engine',
    back_ms: number,
  ): Promise<void> => {
    const swarm = await started(seed, { lease_ms: LEASE_MS, agents, groups: shares });
    const { world, truth, groups, capacity } = swarm;
    const steps = drawn.map(({ op, part, group, over_ms }) => {
      const count = Math.max(1, Math.floor((capacity * part) / 100 / drawn.length));
      const where = group === null ? '' : ` in ${groups[group % groups.length]!.name}`;
      return `${op} ${count}${where}${over_ms === 0 ? '' : ` over ${over_ms}ms`}; hold ${FOLLOWED_MS + 800}ms`;
    });
    const text = ['set 5; hold 4s', ...steps].join('; ');
    swarm.command({ op: 'load', text });
    await swarm.until(world.now + 3000);
    if (how === 'leader') for (const { process } of swarm.desks) process.crash();
    else world.stop_engine(40_000);
    const { revision } = truth.plan!;
    let back = how === 'leader' ? world.now + back_ms : Infinity;
    let since = world.now;
    let before = held(swarm);
    let known_since = Infinity;
    for (let step = 0; ;) {
      await swarm.until(world.now + STEP_MS);
      if (world.now >= back) {
        for (const desk of swarm.desks) swarm.restart_desk(desk);
        back = Infinity;
      }
      const now = load_now(swarm);
      const targets = targets_of(now, groups);
      if (now.load!.step !== step || piece_at(now, groups, run_ms(swarm)).ramps.includes(true)) {
        [step, since] = [now.load!.step, world.now];
        before = held(swarm).map((clients, g) => Math.max(clients, before[g]!));
      }
      const place = `${text}: step ${step}, at ${world.now}\n${said(swarm)}`;
      for (const [g, clients] of held(swarm).entries())
        expect(clients, place).toBeLessThanOrEqual(Math.max(before[g]!, targets[g]!));
      // where one agent has to shrink before another grows, somebody has to lead
      if (known_of(swarm).join() !== targets.join()) known_since = Infinity;
      else if (known_since === Infinity) known_since = world.now;
      if (world.now < since + FOLLOWED_MS) continue;
      if (world.now >= known_since + FOLLOWED_MS) {
        expect(held(swarm), place).toEqual(targets);
        before = targets;
      }
      if (now.load!.step > steps.length * 2 + 1) break;
    }
    if (how === 'engine') expect(truth.plan!.revision).toBe(revision);
  };
  const shares = fc.constantFrom([1], [1, 3], [2, 0, 5]);
  const how = fc.constantFrom('leader' as const, 'engine' as const);
  const seeds = fc.integer({ min: 1, max: 1e6 });
  const back = fc.integer({ min: 500, max: 12_000 });
  await fc.assert(fc.asyncProperty(seeds, fc.integer({ min: 1, max: 4 }), shares, changes, how, back, play), {
    numRuns: 30,
  });
}, 120_000);

test('the engine loses its memory in a wait: the wait is decided by who leads then, and all that follows is played', async () => {
  const play = async (seed: number, outage_ms: number, wiped: boolean, leader_dies: boolean): Promise<void> => {
    const swarm = await started(seed, { lease_ms: LEASE_MS, coordinators: 2 });
    const { world, truth, capacity } = swarm;
    const some = Math.floor(capacity / 3);
    const text = `set ${some} over 1s; wait within 1h; set ${2 * some} over 2s; mark later; hold 1s; decr ${some}; wait within 1m`;
    swarm.command({ op: 'load', text });
    await swarm.until(world.now + 800);
    world.stop_engine(outage_ms);
    await swarm.until(world.now + outage_ms);
    expect(awaited(load_now(swarm))).not.toBe(null);
    expect(truth.held).toBe(some);
    if (wiped) world.wipe_engine();
    if (leader_dies) swarm.desks[0]!.process.crash();
    const is_over = (): boolean => truth.desired!.load!.step === 7;
    expect(await swarm.wait(is_over, 30_000), said(swarm)).toBe(true);
    expect(truth.desired).toMatchObject({ target: some, phase: 'run', mark: { text: 'later', seq: 1 } });
    expect(await swarm.wait(() => truth.held === some, 5000), said(swarm)).toBe(true);
  };
  const outages = fc.integer({ min: 1500, max: 20_000 });
  const seeds = fc.integer({ min: 1, max: 1e6 });
  await fc.assert(fc.asyncProperty(seeds, outages, fc.boolean(), fc.boolean(), play), { numRuns: 15 });
}, 120_000);

test('a wait that cannot be met ends the run, and says why; so does `stop`', async () => {
  const play = async (seed: number, fails: boolean, leader_dies: boolean): Promise<void> => {
    const swarm = await started(seed, { lease_ms: LEASE_MS, coordinators: 2 });
    const { world } = swarm;
    const ends: RunEnd[] = [];
    for (const { joined } of swarm.desks) void joined.ended.then((end) => ends.push(end));
    const text = fails ? 'set 10; wait 11 within 2s; set 20' : 'set 10 over 1s; wait within 1m; hold 1s; stop';
    swarm.command({ op: 'load', text }, swarm.desks[0]);
    await swarm.until(world.now + 1000);
    if (leader_dies) swarm.desks[0]!.process.crash();
    expect(await swarm.wait(() => ends.length === (leader_dies ? 1 : 2), 30_000), said(swarm)).toBe(true);
    const load = fails
      ? { state: 'failed', step: 2, why: '`wait 11 within 2s`: 10 of 11 clients were open' }
      : { state: 'over', step: 4 };
    for (const { summary } of ends)
      expect(summary).toMatchObject({ load, final: true, clients: { live: 0, created: 10 } });
  };
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.boolean(), fc.boolean(), play), {
    numRuns: 10,
  });
}, 120_000);
