import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAIN } from '../../../src/metrics/groups.ts';
import { FakeSwarm, MACHINE } from '../fake-swarm.ts';
import { group_of, run_of } from '../specs.ts';

const FIVE = ['w1', 'w2', 'w3', 'w4', 'w5'];
const auto = (from_start = 2): Promise<FakeSwarm> => FakeSwarm.up(FIVE, { from_start, more_by: '--max-workers' });
const states = (swarm: FakeSwarm): string[] =>
  swarm.coordinator.summary().workers.map(({ id, state }) => `${id} ${state}`);
/** Starts those that are wanted and have no process. */
const arrive = async (swarm: FakeSwarm): Promise<void> => {
  for (const id of swarm.wanted) if (!swarm.member(id).alive) swarm.member(id).start();
  await swarm.settle();
};
/** Ends those that are not wanted any more. */
const leave = async (swarm: FakeSwarm): Promise<void> => {
  for (const member of swarm.members) if (member.alive && !swarm.wanted.includes(member.id)) member.die('gone');
  await swarm.settle();
};

describe('growing', () => {
  it('begins with the first members; the others do not show', async () => {
    const swarm = await auto();
    expect(swarm.wanted).toEqual(['w1', 'w2']);
    expect(states(swarm)).toEqual(['w1 up', 'w2 up']);
    expect(swarm.coordinator.summary().limits.capacity).toBe(5000);
  });

  it('starts as many as the target needs, at once, with even shares from the first plan on', async () => {
    const swarm = await auto();
    const asked_at = swarm.now;
    expect(await swarm.incr(3500)).toBe('OK target 3500, 2 workers are starting');
    expect(swarm.now).toBe(asked_at);
    expect(swarm.wanted).toEqual(['w1', 'w2', 'w3', 'w4']);
    expect(states(swarm)).toEqual(['w1 up', 'w2 up', 'w3 starting', 'w4 starting']);
    expect(swarm.clients).toEqual([875, 875, 0, 0, 0]);
    await arrive(swarm);
    expect(swarm.clients).toEqual([875, 875, 875, 875, 0]);
    expect(swarm.members.slice(0, 4).map(({ entry }) => entry!.groups.main!.ids)).toEqual(
      [1, 2, 3, 4].map((first) => [[first, 3496 + first, 4]]),
    );
    expect(swarm.coordinator.summary()).toMatchObject({ clients: { live: 3500 }, balanced: true });
    expect(swarm.notes.filter((note) => note.includes('starting'))).toEqual([
      'w3 info starting: the target of 3500 needs it',
      'w4 info starting: the target of 3500 needs it',
    ]);
  });

  it('starts as many as those need that may arrive, all where that is as many as fit', async () => {
    const loops = [{ name: MAIN, actions: [], iterations: 1, sleep_between_iterations: [0, 0] as const }];
    const run = run_of({ groups: [group_of({ script: { protocol: 'p', loops, iterations_in_all: null } })] });
    const up = (): Promise<FakeSwarm> => FakeSwarm.up(FIVE, { from_start: 2, more_by: '--max-workers', run });
    const arriving = { op: 'arrive', per_s: 1, over_ms: 0, poisson: false } as const;
    const [bounded, unbounded] = [await up(), await up()];
    void bounded.coordinator.apply({ ...arriving, at_most: 2500 }, 'me');
    expect(bounded.wanted).toEqual(['w1', 'w2', 'w3']);
    expect(bounded.notes.at(-1)).toBe('w3 info starting: the target of 0 and clients that arrive need it');
    void unbounded.coordinator.apply({ ...arriving, at_most: null }, 'me');
    expect(unbounded.wanted).toEqual(FIVE);
  });

  it('looks at the target, not at what the ramp asks for now', async () => {
    const swarm = await auto();
    expect(await swarm.incr(2001, 60_000)).toBe('OK target 2001, 1 worker is starting');
    expect(await swarm.incr(1)).toBe('OK target 2002, 1 worker is starting');
  });

  it('ends at the last member, and says what would help', async () => {
    const swarm = await auto();
    expect(await swarm.incr(6000)).toBe(
      'OK target 5000 (asked 6000: open files 1100 per process; try --max-workers 6), 3 workers are starting',
    );
    await arrive(swarm);
    expect(swarm.clients).toEqual([1000, 1000, 1000, 1000, 1000]);
    expect(await swarm.incr(1)).toMatch(/^ERR limit_files nothing fits: target 5000 /);
  });

  it('starts one more when those that came can hold less than was expected', async () => {
    const swarm = await auto();
    await swarm.incr(3000);
    swarm.member('w3').capacity = 900;
    await arrive(swarm);
    expect(swarm.wanted).toEqual(['w1', 'w2', 'w3', 'w4']);
    await arrive(swarm);
    expect(swarm.clients.reduce((a, b) => a + b)).toBe(3000);
  });

  it('replaces one that was given up', async () => {
    const swarm = await auto();
    await swarm.incr(1500);
    swarm.member('w2').die('given_up');
    await swarm.settle();
    expect(states(swarm)).toEqual(['w1 up', 'w2 given_up', 'w3 starting']);
    swarm.member('w3').start();
    await swarm.settle();
    expect(swarm.clients).toEqual([750, 0, 750, 0, 0]);
    expect(swarm.coordinator.summary().limits).toMatchObject({
      capacity: 4000,
      why: 'open files 1100 per process; w2 given up',
    });
  });

  it('gives the share of one that cannot start to the others', async () => {
    const swarm = await auto();
    await swarm.incr(2500);
    await swarm.set(2000);
    swarm.gone('w3', 'w3-never', true, 'given_up', null);
    await swarm.settle();
    expect(swarm.clients).toEqual([1000, 1000, 0, 0, 0]);
    expect(states(swarm)).toContain('w3 given_up');
  });

  it('does not happen with a fixed number of workers', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    expect(await swarm.incr(2001)).toBe('OK target 2000 (asked 2001: open files 1100 per process; try --workers 3)');
    await swarm.set(0);
    await swarm.pass(70_000);
    expect(swarm.wanted).toEqual(['w1', 'w2']);
  });
});

describe('ending idle ones', () => {
  it('after a minute without clients: nothing is lost, the first ones stay', async () => {
    const swarm = await auto();
    await swarm.incr(4000);
    await arrive(swarm);
    await swarm.set(0);
    await swarm.pass(59_000);
    expect(swarm.wanted).toHaveLength(4);
    await swarm.pass(3000);
    expect(swarm.wanted).toEqual(['w1', 'w2']);
    expect(swarm.notes.at(-1)).toBe('w4 info ending: it had no clients for 60 s');
    await leave(swarm);
    const summary = swarm.coordinator.summary();
    expect(summary).toMatchObject({
      complete: true,
      balanced: true,
      lost_workers: [],
      clients: { created: 4000, lost: 0 },
    });
    expect(states(swarm)).toEqual(['w1 up', 'w2 up']);
  });

  it('can be wanted again, as a new process', async () => {
    const swarm = await auto();
    await swarm.incr(3000);
    await arrive(swarm);
    const { incarnation } = swarm.member('w3');
    await swarm.set(0);
    await swarm.pass(62_000);
    // not while the old one is still there
    expect(await swarm.set(2500)).toBe('OK target 2500, 1 worker is starting');
    expect(swarm.wanted).toEqual(['w1', 'w2', 'w4']);
    await leave(swarm);
    await swarm.set(4000);
    await arrive(swarm);
    expect(swarm.member('w3').incarnation).not.toBe(incarnation);
    expect(swarm.clients.reduce((a, b) => a + b)).toBe(4000);
    expect(swarm.coordinator.summary()).toMatchObject({ complete: true, balanced: true, clients: { created: 7000 } });
  });

  it('is put off by a client, or by a ramp that will need it', async () => {
    const swarm = await auto();
    await swarm.incr(3000);
    await arrive(swarm);
    await swarm.set(3);
    await swarm.pass(120_000);
    expect(swarm.clients).toEqual([1, 1, 1, 0, 0]);
    expect(swarm.wanted).toHaveLength(3);
    await swarm.set(0);
    await swarm.pass(50_000);
    await swarm.set(3, 3_600_000);
    await swarm.pass(50_000);
    expect(swarm.wanted).toHaveLength(3);
  });

  it('is a loss when it held something after all', async () => {
    const swarm = await auto();
    await swarm.incr(3000);
    await arrive(swarm);
    await swarm.set(0);
    await swarm.pass(62_000);
    swarm.member('w3').live = 1;
    swarm.member('w3').account();
    await leave(swarm);
    expect(swarm.coordinator.summary()).toMatchObject({
      complete: false,
      lost_workers: [{ worker: 'w3' }],
      clients: { lost: 1 },
    });
  });

  it('does not begin while the swarm stops', async () => {
    const swarm = await auto();
    await swarm.incr(3000);
    await arrive(swarm);
    await swarm.set(0);
    await swarm.pass(59_500);
    swarm.member('w1').lingers = true;
    swarm.member('w1').live = 1;
    await swarm.ask({ op: 'stop', now: false });
    await swarm.pass(5000);
    expect(swarm.wanted).toHaveLength(3);
  });
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ set: fc.integer({ min: 0, max: 5500 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ dies: fc.nat(4), absence: fc.constantFrom('restarting' as const, 'given_up' as const) }),
  },
  { weight: 1, arbitrary: fc.constant({ waits: 65_000 }) },
);

it('never owns an id or a port twice, and holds the target when it can, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const machine = { ...MACHINE, sources: { ...MACHINE.sources, addresses: ['10.0.0.1'] } };
      const swarm = await FakeSwarm.up(FIVE, { from_start: 2, more_by: '--max-workers', machine });
      for (const one of steps) {
        if ('set' in one) await swarm.set(one.set);
        else if ('waits' in one) await swarm.pass(one.waits);
        else if (swarm.members[one.dies]!.alive && swarm.wanted.includes(FIVE[one.dies]!)) {
          swarm.members[one.dies]!.die(one.absence);
          if (one.absence === 'restarting') swarm.members[one.dies]!.start();
          await swarm.settle();
          if (swarm.wanted.every((id) => !swarm.member(id).alive)) break; // all given up
          continue;
        }
        await leave(swarm);
        for (const id of swarm.wanted) {
          const { state } = swarm.coordinator.summary().workers.find((worker) => worker.id === id)!;
          if (state === 'starting') swarm.member(id).start();
        }
        await swarm.settle();
        const shares = swarm.members.filter(({ alive }) => alive).flatMap(({ entry }) => entry?.groups.main ?? []);
        const ranges = { ids: shares.flatMap(({ ids }) => ids), ports: shares.flatMap(({ ports }) => ports[0] ?? []) };
        for (const [what, granted] of Object.entries(ranges)) {
          const owned = granted.flatMap(([first, last, by]) =>
            Array.from({ length: (last - first) / by + 1 }, (_, i) => first + i * by),
          );
          expect(new Set(owned).size, what).toBe(owned.length);
        }
        const { clients, target, limits, balanced } = swarm.coordinator.summary();
        expect(clients.live).toBe(Math.min(target, limits.capacity));
        expect(balanced).toBe(true);
      }
    }),
    { numRuns: 40 },
  );
});
