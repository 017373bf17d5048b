/** Members that do not answer: who is killed, when, and what the end of a run makes of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeSwarm, type FakeMember } from '../fake-swarm.ts';
import { run_of } from '../specs.ts';

const STALL_MS = 30_000;
const hang = (member: FakeMember): unknown => (member.listens = false);
const deafen = (member: FakeMember): unknown => (member.is_deaf = true);

describe('a member that does not answer while the run goes on', () => {
  it('is killed after --stall-timeout, replaced, and named by `errors`', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(10);
    hang(swarm.member('w2'));
    await swarm.pass(STALL_MS - 1000);
    expect(swarm.killed).toEqual([]);
    expect(swarm.coordinator.summary().workers[1]!.state).toBe('stalled');
    await swarm.pass(2000);
    expect(swarm.killed).toEqual(['w2 did not answer for 30 s']);
    expect(swarm.coordinator.summary()).toMatchObject({
      errors: [{ code: 'worker_stalled', count: 1, last: 'did not answer for 30 s' }],
      clients: { lost: 5 },
      lost_workers: [{ worker: 'w2' }],
      balanced: true,
    });
    swarm.member('w2').start();
    await swarm.settle();
    expect(swarm.clients).toEqual([5, 5]);
    await swarm.ask({ op: 'stop', now: false });
    // as after any other death
    expect((await swarm.coordinator.ended).unconfirmed).toEqual([]);
  });

  it('is one that reports but reads no plan, too, once there is one to read', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    deafen(swarm.member('w2'));
    await swarm.pass(2 * STALL_MS);
    expect(swarm.killed).toEqual([]);
    await swarm.incr(10);
    await swarm.pass(STALL_MS + 1000);
    expect(swarm.killed).toEqual(['w2 did not answer for 30 s']);
  });

  it('is none that is only slow: any silence below the bound is forgiven', async () => {
    const silence = fc.record({ quiet: fc.integer({ min: 1, max: 26 }), awake: fc.integer({ min: 2, max: 5 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(silence, { maxLength: 5 }), fc.boolean(), async (silences, is_deaf) => {
        const swarm = await FakeSwarm.up(['w1', 'w2']);
        const member = swarm.member('w2');
        for (const { quiet, awake } of silences) {
          if (is_deaf) deafen(member);
          else hang(member);
          await swarm.incr(1);
          await swarm.pass((quiet - 1) * 1000);
          member.listens = true;
          member.is_deaf = false;
          member.take(swarm.orders_out.at(-1)!);
          await swarm.pass(awake * 1000);
        }
        expect(swarm.killed).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('is not accused by a process that stood still itself', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    await swarm.pass(1000);
    // stopped and continued: the first thing that runs may be the tick
    swarm.now += 600_000;
    await swarm.pass(200);
    expect(swarm.killed).toEqual([]);
    expect(swarm.coordinator.summary().workers[0]!.state).toBe('up');
    hang(swarm.member('w1'));
    await swarm.pass(STALL_MS + 2000);
    expect(swarm.killed.length).toBe(1);
  });

  it('is left alone in a hook of the module, which has a deadline of its own', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    swarm.members[0]!.teardown = null;
    await swarm.ask({ op: 'stop', now: true });
    hang(swarm.members[0]!);
    await swarm.pass(59_000);
    expect(swarm.killed).toEqual([]);
    await swarm.pass(2000);
    expect((await swarm.coordinator.ended).teardown_failed).toBe('no result within 60 s');
  });
});

describe('the end of a run', () => {
  it('comes within what `stop` said, whoever hangs from when on, and names who was killed', async () => {
    const members = fc.array(
      fc.record({
        /** ms after the command, negative: before it */
        from: fc.integer({ min: -40, max: 120 }).map((tenths) => tenths * 100),
        how: fc.constantFrom(
          hang,
          deafen,
          (member: FakeMember) => (member.lingers = true),
          () => {},
        ),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const play = async (
      drain_ms: number,
      kinds: { from: number; how: (member: FakeMember) => unknown }[],
      now: boolean,
    ): Promise<void> => {
      const ids = kinds.map((_, i) => `w${i + 1}`);
      const run = run_of({ drain_timeout_ms: drain_ms });
      const swarm = await FakeSwarm.up(ids, { run, has_teardown: false });
      await swarm.incr(3 * ids.length);
      let ended = false;
      void swarm.coordinator.ended.then(() => (ended = true));
      let said_ms = Infinity;
      let asked_at = Infinity;
      for (let at = -4000; !ended && at <= said_ms + 200; at += 100) {
        for (const [i, { from, how }] of kinds.entries()) if (from === at) how(swarm.members[i]!);
        if (at === 0) {
          asked_at = swarm.now;
          void swarm.coordinator.apply({ op: 'stop', now }, 'somebody').then((reply) => {
            said_ms = now ? 2000 : reply.ok && reply.op === 'stop' ? reply.within_ms : NaN;
          });
        }
        await swarm.pass(100);
        // who answers at all says so after two seconds at most
        if (at > 4000 && said_ms === Infinity) throw new Error('no answer');
      }
      expect(ended).toBe(true);
      expect(swarm.now - asked_at).toBeLessThanOrEqual((now ? 2000 : drain_ms + 2000) + 200);
      const { summary, unconfirmed } = await swarm.coordinator.ended;
      expect(new Set(unconfirmed)).toEqual(new Set(swarm.killed.map((text) => text.split(' ')[0])));
      expect(summary).toMatchObject({ balanced: true, clients: { live: 0 } });
      // one that hangs when its clients have gone takes none with it
      expect(summary.clients.lost).toBeLessThanOrEqual(3 * unconfirmed.length);
      expect(summary.errors.reduce((all, { count }) => all + count, 0)).toBe(unconfirmed.length);
    };
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 60 }), members, fc.boolean(), (tenths, kinds, now) =>
        play(tenths * 100, kinds, now),
      ),
      { numRuns: 100 },
    );
  });
});
