/** Rates that many machines fire: whoever dies, comes or is away, each slot has one owner, and all are counted once. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RunEnd } from '../../../src/machines/coordinator/leading.ts';
import { slots_by } from '../../../src/swarm/plan/rate-piece.ts';
import { started } from './started.ts';
import type { SimSwarm } from './swarm.ts';

const ISOLATION_MS = 4000;

const said = ({ world }: SimSwarm): string => world.notes.slice(-60).join('\n');

const rates = fc.record({ per_s: fc.integer({ min: 1, max: 60 }), poisson: fc.boolean() });
const blows = fc.array(
  fc.record({
    at_ms: fc.integer({ min: 0, max: 12_000 }),
    kind: fc.constantFrom('crash', 'crash for good', 'freeze', 'cut', 'leader', 'engine', 'wipe', 'join', 'rebalance'),
    which: fc.nat(9),
    for_ms: fc.integer({ min: 100, max: 9000 }),
  }),
  { maxLength: 6 },
);
type Blow = (typeof blows extends fc.Arbitrary<infer T> ? T : never)[number];

function strike(swarm: SimSwarm, { kind, which, for_ms }: Blow): void {
  const { world, machines, desks } = swarm;
  const machine = machines[which % machines.length]!;
  const desk = desks[which % desks.length]!;
  const later = (f: () => void): unknown => world.schedule(for_ms, null, f);
  switch (kind) {
    case 'crash':
      if (machine.process.alive) swarm.crash_machine(machine);
      return void later(() => swarm.restart_machine(machine));
    case 'crash for good':
      if (machine.process.alive) swarm.crash_machine(machine);
      return;
    case 'freeze':
      if (machine.process.alive) swarm.freeze(machine.process, for_ms);
      return;
    case 'cut':
      swarm.truth.troubled(machine.process, for_ms);
      return machine.process.cut('both', for_ms);
    case 'leader':
      // one must be left that knows what was there
      if (!swarm.truth.is_seeded || desks.some(({ process }) => !process.alive)) return;
      desk.process.crash();
      return void later(() => swarm.restart_desk(desk));
    case 'engine':
      swarm.truth.troubled(null, 3000);
      return world.stop_engine(Math.min(for_ms, 3000));
    case 'wipe':
      swarm.truth.troubled(null, 0);
      if (desks.some(({ process, is_playing }) => process.alive && is_playing)) world.wipe_engine();
      return;
    case 'join':
      return swarm.add_machine();
    case 'rebalance':
      swarm.command({ op: 'rebalance' });
  }
}

/** Plays a load with the rate for 14 s, and to its end. */
async function played(
  seed: number,
  agents: number,
  rate: typeof rates extends fc.Arbitrary<infer T> ? T : never,
  struck: readonly Blow[],
): Promise<{ readonly swarm: SimSwarm; readonly end: RunEnd }> {
  const swarm = await started(seed, { lease_ms: 2000, isolation_ms: ISOLATION_MS, coordinators: 2, agents, rate });
  const { world } = swarm;
  const ends: RunEnd[] = [];
  const listen = (): void => {
    for (const desk of swarm.desks) void desk.joined.ended.then((end) => ends.push(end));
  };
  const text = `set 12 over 2s; hold 3s; rate go ${rate.per_s * 2}/s over 3s; hold 4s; rate go ${rate.per_s}/s; hold 8s; stop`;
  swarm.command({ op: 'load', text });
  for (const blow of struck) world.at(world.now + 1000 + blow.at_ms, () => strike(swarm, blow));
  await swarm.until(world.now + 14_000);
  swarm.heal();
  for (const desk of swarm.desks) swarm.restart_desk(desk);
  listen();
  expect(await swarm.wait(() => ends.length > 0, 60_000), said(swarm)).toBe(true);
  return { swarm, end: ends[0]! };
}

function check({ swarm, end: { summary } }: Awaited<ReturnType<typeof played>>, is_exact: boolean): void {
  const { truth } = swarm;
  truth.check();
  expect(summary.balanced, said(swarm)).toBe(true);
  const area = slots_by(truth.plan!.rates['main.0']!.piece, 1e15);
  const { planned, lost, waiting } = summary.actions[0]!.slots!;
  expect(waiting).toBe(0);
  const text = `${planned} planned, ${lost} of them lost, ${truth.slots.size} made, of ${area}\n${JSON.stringify(truth.plan!.slots)}\n${said(swarm)}`;
  if (is_exact) expect(planned, text).toBe(area);
  else expect(planned, text).toBeGreaterThanOrEqual(area);
  expect(planned - lost, text).toBeLessThanOrEqual(truth.slots.size);
}

test('agents die, freeze, are cut off and join, leaders die, the engine is away: totals are the area of the rate', async () => {
  const play = async (seed: number, agents: number, rate: Parameters<typeof played>[2], struck: readonly Blow[]) =>
    check(
      await played(
        seed,
        agents,
        rate,
        struck.filter(({ kind }) => kind !== 'wipe'),
      ),
      true,
    );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 4 }), rates, blows, play),
    { numRuns: 40 },
  );
}, 300_000);

test('with nothing in its way nothing is lost or dropped', async () => {
  const play = async (seed: number, agents: number, rate: Parameters<typeof played>[2], joins: readonly Blow[]) => {
    const all = await played(
      seed,
      agents,
      rate,
      joins.map((blow) => ({ ...blow, kind: blow.which % 2 === 0 ? 'join' : 'rebalance' })),
    );
    check(all, true);
    expect(all.end.summary.actions[0]!.slots, said(all.swarm)).toMatchObject({ lost: 0 });
  };
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 4 }), rates, blows, play),
    { numRuns: 20 },
  );
}, 300_000);

test('the engine loses its memory: no slot has two owners, and what nobody knows of is lost', async () => {
  const play = async (seed: number, agents: number, rate: Parameters<typeof played>[2], struck: readonly Blow[]) =>
    check(await played(seed, agents, rate, [{ at_ms: 4000, kind: 'wipe', which: 0, for_ms: 0 }, ...struck]), false);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 4 }), rates, blows, play),
    { numRuns: 40 },
  );
}, 300_000);
