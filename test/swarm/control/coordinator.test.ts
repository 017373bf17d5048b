import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CoordinatorOptions } from '../../../src/swarm/control/coordinator.ts';
import { id_at, index_of, parse_segment, part_of, whole_of } from '../../../src/swarm/plan/segment.ts';
import { FakeSwarm, MACHINE, RUN, said } from '../fake-swarm.ts';
import { LIVE } from '../specs.ts';

const ids_of = (swarm: FakeSwarm): number[] =>
  swarm.members
    .flatMap(({ entry }) => entry?.groups.main?.ids ?? [])
    .flatMap(([first, last, step]) => Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step))
    .sort((a, b) => a - b);

describe('growing and shrinking', () => {
  it('shares the target, deals ids and the connect rate', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2', 'w3']);
    expect(await swarm.incr(100)).toBe('OK target 100');
    expect(swarm.clients).toEqual([34, 33, 33]);
    expect(ids_of(swarm)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    const rates = swarm.members.map((member) => member.entry!.groups.main!.connect_per_s);
    expect(rates.reduce((a, b) => a + b)).toBeCloseTo(1000, 6);
    expect(swarm.coordinator.summary()).toMatchObject({ target: 100, planned: 100, clients: { live: 100, peak: 100 } });
  });

  it('gives the connect rate to those who hold clients', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(1);
    expect(swarm.members.map((member) => member.entry!.groups.main!.connect_per_s)).toEqual([1000, 0]);
  });

  it('counts both of two incr at once', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    expect(await Promise.all([swarm.incr(10), swarm.incr(20)])).toEqual(['OK target 10', 'OK target 30']);
    expect(swarm.clients).toEqual([30]);
  });

  it('takes what is there', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(60);
    expect(await swarm.decr(10)).toBe('OK target 50');
    expect(await swarm.decr(100)).toBe('OK target 0 (asked 100, had 50)');
    expect(swarm.clients).toEqual([0, 0]);
    expect(await swarm.set(7)).toBe('OK target 7');
    expect(await swarm.set(0)).toBe('OK target 0');
  });

  it('is not worked out again for reports that change nothing of it', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    await swarm.set(40);
    const before = swarm.orders_out.length;
    await swarm.pass(10_000);
    expect(swarm.orders_out.length).toBe(before);
  });

  it('grants ports with --bind, which a replacement keeps', async () => {
    const machine = { ...MACHINE, sources: { ...MACHINE.sources, addresses: ['10.0.0.1', '10.0.0.2'] } };
    const swarm = await FakeSwarm.up(['w1', 'w2'], { machine });
    const ports = (): unknown[] => swarm.members.map((member) => member.entry!.groups.main!.ports);
    expect(ports()).toEqual([[[]], [[]]]);
    await swarm.incr(200);
    expect(ports()).toEqual([[[[1, 189, 1]]], [[[190, 378, 1]]]]);
    swarm.member('w2').die();
    swarm.member('w2').start();
    await swarm.settle();
    expect(ports()).toEqual([[[[1, 189, 1]]], [[[190, 378, 1]]]]);
    swarm.member('w2').die('given_up');
    await swarm.settle();
    expect(swarm.member('w1').entry!.groups.main!.ports).toEqual([[[1, 314, 1]]]);
  });

  it('passes on how clients leave', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    const graceful = (): unknown => swarm.members[0]!.entry!.groups.main!.graceful;
    await swarm.incr(10);
    await swarm.decr(1, true);
    expect(graceful()).toBe(true);
    await swarm.incr(1); // those who leave go on leaving as they were told
    expect(graceful()).toBe(true);
    await swarm.decr(1, false);
    expect(graceful()).toBe(false);
  });

  it('numbers like one process, whatever the commands', async () => {
    const command = fc.oneof(
      fc.record({ op: fc.constantFrom('incr' as const, 'set' as const), count: fc.integer({ min: 1, max: 500 }) }),
      fc.record({ op: fc.constant('decr' as const), count: fc.integer({ min: 1, max: 500 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(command, { maxLength: 8 }), async (n, commands) => {
        const swarm = await FakeSwarm.up(Array.from({ length: n }, (_, i) => `w${i + 1}`));
        let [target, largest] = [0, 0];
        for (const { op, count } of commands) {
          await (op === 'decr' ? swarm.decr(count) : swarm[op](count));
          target = op === 'incr' ? target + count : op === 'set' ? count : Math.max(0, target - count);
          target = Math.min(target, n * 1000);
          largest = Math.max(largest, target);
          expect(swarm.clients.reduce((a, b) => a + b)).toBe(target);
        }
        expect(ids_of(swarm)).toEqual(Array.from({ length: largest }, (_, i) => i + 1));
        expect(swarm.coordinator.summary().balanced).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('ramps', () => {
  it('grows along the line, five plans a second at most, to exactly the target', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    expect(await swarm.incr(1000, 10_000)).toBe('OK target 1000');
    const before = swarm.orders_out.length;
    await swarm.pass(5000);
    expect(swarm.coordinator.summary()).toMatchObject({ target: 1000, planned: 500, clients: { live: 500 } });
    expect(swarm.orders_out.length - before).toBeLessThanOrEqual(25);
    await swarm.pass(5000);
    expect(swarm.clients).toEqual([500, 500]);
    expect(swarm.members[1]!.entry!.groups.main!.ids).toEqual([[2, 1000, 2]]);
    const after = swarm.orders_out.length;
    await swarm.pass(5000);
    expect(swarm.orders_out.length).toBe(after);
  });

  it('a new one starts from what is planned now', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    await swarm.incr(1000, 10_000);
    await swarm.pass(4000);
    expect(await swarm.set(0, 4000)).toBe('OK target 0');
    await swarm.pass(2000);
    expect(swarm.coordinator.summary().planned).toBe(200);
    expect(await swarm.incr(50)).toBe('OK target 50');
    expect(swarm.clients).toEqual([50]);
  });
});

describe('limits', () => {
  it('of the machine: asks with what is measured, stops there and shows them', async () => {
    const asked: unknown[] = [];
    const bounds = [
      { code: 'limit_ports', what: 'local ports', connections: 70, hard: true, why: '70', lift: '--bind' },
    ];
    const swarm = await FakeSwarm.up(['w1', 'w2'], { bounds: (now) => (asked.push(now), bounds) });
    expect(await swarm.incr(100)).toBe('OK target 70 (asked 100: local ports: 70; try --bind)');
    expect(swarm.coordinator.summary().limits.bounds).toEqual(bounds);
    expect(asked.at(-1)).toEqual({ open: 70, rss_bytes: 0, workers: 2 });
  });

  it('takes what fits and says why', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    expect(await swarm.incr(3000)).toBe('OK target 1000 (asked 3000: open files 1100 per process; try --workers 3)');
    expect(await swarm.incr(1)).toBe(
      'ERR limit_files nothing fits: target 1000 (asked 1: open files 1100 per process; try --workers 2)',
    );
    await swarm.decr(100);
    expect(await swarm.incr(200)).toBe(
      'OK target 1000 (asked 200, had 900: open files 1100 per process; try --workers 2)',
    );
  });

  it('never goes above ten million', async () => {
    const swarm = new FakeSwarm(['w1']);
    swarm.members[0]!.capacity = 99_999_999;
    swarm.members[0]!.start();
    expect(await swarm.incr(9_999_999)).toBe('OK target 9999999');
    expect(await swarm.incr(2)).toBe('OK target 10000000 (asked 2, had 9999999: at most 10000000 clients)');
    expect(await swarm.incr(1)).toMatch(/^ERR limit_clients nothing fits/);
  });

  it('has room nowhere before a worker is up', async () => {
    expect(await new FakeSwarm(['w1']).incr(1)).toBe(
      'ERR limit_files nothing fits: target 0 (asked 1: no worker is up)',
    );
  });
});

describe('acknowledgement', () => {
  it('is waited for 2 s and says who is silent', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    swarm.member('w2').listens = false;
    await swarm.pass(1000);
    const asked_at = swarm.now;
    expect(await swarm.incr(1000)).toBe('OK target 1000, 1 of 2 workers acknowledged (w2 silent 3 s)');
    expect(swarm.now - asked_at).toBe(2000);
    await swarm.pass(1000);
    expect(swarm.coordinator.summary().workers.map(({ state }) => state)).toEqual(['up', 'stalled']);
  });

  it('does not hold up the next command', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    swarm.member('w2').listens = false;
    const first = swarm.incr(10);
    await swarm.settle();
    const second = swarm.incr(10);
    await swarm.settle();
    expect(swarm.clients).toEqual([10, 0]);
    expect(await first).toMatch(/^OK target 10, 1 of 2/);
    expect(await second).toMatch(/^OK target 20, 1 of 2/);
  });

  it('a stalled member keeps what it may run; nobody grows into it', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    swarm.member('w2').listens = false;
    await swarm.set(40);
    expect(swarm.clients).toEqual([20, 50]);
    await swarm.set(90);
    // w2 could be running 50 still, and was told 20 in between: together never above 90
    expect(swarm.clients).toEqual([40, 50]);
    swarm.member('w2').listens = true;
    swarm.member('w2').take(swarm.orders_out.at(-1)!);
    await swarm.settle();
    expect(swarm.clients).toEqual([45, 45]);
  });
});

describe('deaths', () => {
  it('the share waits for the replacement, which gets the same ids', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    const { ids } = swarm.member('w2').entry!.groups.main!;
    swarm.member('w2').die();
    await swarm.pass(500);
    expect(swarm.clients).toEqual([50, 0]);
    const lost = swarm.coordinator.summary();
    expect(lost).toMatchObject({ clients: { live: 50, lost: 50 }, balanced: true, complete: false });
    expect(lost.workers[1]).toMatchObject({ state: 'restarting', live: 0 });
    expect(lost.lost_workers).toMatchObject([{ worker: 'w2', incarnation: 'w2-2' }]);
    swarm.member('w2').start();
    await swarm.settle();
    expect(swarm.clients).toEqual([50, 50]);
    expect(swarm.member('w2').entry!.groups.main!.ids).toEqual(ids);
    expect(swarm.coordinator.summary().clients.peak).toBe(100);
  });

  it('in the middle of an incr: the answer names it', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    swarm.member('w2').listens = false;
    const answer = swarm.incr(100);
    await swarm.pass(500);
    swarm.member('w2').die();
    expect(await answer).toBe('OK target 100, 1 of 2 workers acknowledged (w2 restarting)');
  });

  it('given up: its share and its ids go to the others, and do not come back by themselves', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    swarm.member('w2').die('given_up');
    await swarm.settle();
    expect(swarm.clients).toEqual([100, 0]);
    expect(ids_of(swarm)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(await swarm.incr(1900)).toBe(
      'OK target 1000 (asked 1900, had 100: open files 1100 per process; w2 given up)',
    );
    await swarm.set(100);
    swarm.member('w2').start();
    await swarm.settle();
    expect(swarm.clients).toEqual([100, 0]);
    expect(swarm.coordinator.summary().workers[1]!.state).toBe('up');
    await swarm.incr(10);
    expect(swarm.clients).toEqual([100, 10]);
    expect(new Set(ids_of(swarm)).size).toBe(ids_of(swarm).length);
  });

  it('a connection that is lost proves no death', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    swarm.member('w2').die('restarting', false);
    await swarm.settle();
    expect(swarm.clients).toEqual([50, 50]);
  });

  it('a late report of a dead process does not bring it back', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    await swarm.incr(10);
    const [member] = swarm.members;
    member!.die();
    member!.alive = true;
    member!.account();
    expect(swarm.coordinator.summary()).toMatchObject({ clients: { live: 0 }, workers: [{ state: 'restarting' }] });
  });

  it('repeated and reordered reports change nothing', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    swarm.members[0]!.notes.push({ level: 'info', text: 'once' });
    swarm.members[0]!.account({ seq: 50 });
    swarm.members[0]!.notes.push({ level: 'info', text: 'late' });
    swarm.members[0]!.account({ seq: 49 });
    expect(swarm.notes).toEqual(['w1 info once']);
  });

  it('all given up: the run ends', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(10);
    for (const member of swarm.members) member.die('given_up');
    await swarm.settle();
    expect(await swarm.coordinator.ended).toMatchObject({ given_up: true, teardown_failed: 'no worker is up' });
  });
});

describe('other commands', () => {
  it('changes the connect rate, up to the maximum', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2'], { max_connect_per_s: 5000 });
    await swarm.incr(10);
    expect(await swarm.ask({ op: 'connect_rate', per_s: 50 })).toBe('OK connect rate 50 per second');
    const rates = (): number[] => swarm.members.map((member) => member.entry!.groups.main!.connect_per_s);
    expect(rates()).toEqual([25, 25]);
    expect(await swarm.ask({ op: 'connect_rate', per_s: 6000 })).toBe(
      'OK connect rate 5000 per second (asked 6000: --max-connect-rate 5000)',
    );
    expect(rates()).toEqual([2500, 2500]);
    expect(swarm.coordinator.summary().connect_per_s).toBe(5000);
  });

  it('pauses and resumes', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    expect(await swarm.ask({ op: 'pause' })).toBe('OK paused');
    expect(swarm.members[0]!.orders!.phase).toBe('pause');
    expect(await swarm.ask({ op: 'resume' })).toBe('OK running');
    expect(swarm.members[0]!.orders!.phase).toBe('run');
  });

  it('retries fatal clients', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    expect(await swarm.ask({ op: 'retry_fatal' })).toBe('OK retrying 0 fatal clients');
    expect(swarm.members[0]!.orders!.live.retry_fatal).toBe(1);
  });

  it('marks after fresh reports', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    const before = swarm.members[0]!.orders!.revision;
    expect(await swarm.ask({ op: 'mark', text: 'steady' })).toBe('OK marked steady');
    expect(swarm.members[0]!.orders!.revision).toBe(before + 1);
    await swarm.pass(2000);
    expect(swarm.coordinator.summary().mark).toMatchObject({ text: 'steady', seconds: 2 });
  });

  it('tells watchers once a second and after each command, until they leave; a broken one harms nobody', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    const targets: number[] = [];
    swarm.coordinator.watch(() => {
      throw new Error('broken');
    });
    const leave = swarm.coordinator.watch(({ target }) => targets.push(target));
    await swarm.incr(5);
    await swarm.pass(3000);
    expect(targets).toEqual([5, 5, 5, 5]);
    leave();
    await swarm.pass(2000);
    expect(targets).toHaveLength(4);
    expect(swarm.notes[0]).toBe('coordinator error a watcher failed: broken');
  });
});

describe('a segment', () => {
  const segment = parse_segment('2/5')!;
  const up = (ids: string[], options: Partial<CoordinatorOptions> = {}): Promise<FakeSwarm> =>
    FakeSwarm.up(ids, { machine: { ...MACHINE, segment }, max_connect_per_s: 5000, ...options });

  it('gets the commands of the whole swarm, holds its part and says so', async () => {
    const swarm = await up(['w1', 'w2']);
    expect(await swarm.incr(1000)).toBe('OK target 1000 (segment 2/5: 200 here)');
    expect(swarm.clients).toEqual([100, 100]);
    expect(await swarm.decr(500)).toBe('OK target 500 (segment 2/5: 100 here)');
    expect(await swarm.set(7)).toBe(`OK target 7 (segment 2/5: ${part_of(segment, 7)} here)`);
    expect(await swarm.incr(3)).toBe('OK target 10 (segment 2/5: 2 here)');
    expect(swarm.coordinator.summary()).toMatchObject({
      run: { segment: '2/5' },
      target: 2,
      planned: 2,
      connect_per_s: 200,
    });
    expect(await swarm.decr(11)).toBe('OK target 0 (asked 11, had 10) (segment 2/5: 0 here)');
  });

  it('ramps with the whole: its part of what is planned', async () => {
    const swarm = await up(['w1']);
    const start = swarm.now;
    await swarm.incr(1000, 10_000);
    for (let second = 1; second <= 10; second++) {
      await swarm.pass(1000);
      // the plan steps five times a second: by 20 of the whole
      const planned = [0, 200].map((late_ms) => part_of(segment, Math.min(1000, (swarm.now - start - late_ms) / 10)));
      expect(planned).toContain(swarm.coordinator.summary().planned);
    }
    expect(swarm.clients).toEqual([200]);
  });

  it('grows to what fits in it, and says what that is of the whole', async () => {
    const swarm = await up(['w1']);
    const whole = whole_of(segment, 1000);
    expect(await swarm.incr(9000)).toBe(
      `OK target ${whole} (asked 9000: open files 1100 per process; try --workers 2) (segment 2/5: 1000 here)`,
    );
    expect(swarm.clients).toEqual([1000]);
    expect(await swarm.incr(1)).toMatch(/^ERR limit_files nothing fits: target \d+ \(asked 1: open files/);
  });

  it('takes --max-connections as one of the whole swarm', async () => {
    const bound = { code: 'limit_connections', what: '--max-connections', connections: 50, hard: true };
    const swarm = await up(['w1'], { bounds: () => [{ ...bound, why: 'the limit you gave', lift: 'a larger one' }] });
    expect(await swarm.incr(70)).toMatch(/^OK target 50 \(asked 70: .*\) \(segment 2\/5: 10 here\)$/);
  });

  it('takes its part of a rate', async () => {
    const swarm = await up(['w1']);
    await swarm.incr(10);
    expect(await swarm.ask({ op: 'connect_rate', per_s: 50 })).toBe(
      'OK connect rate 50 per second (segment 2/5: 10 here)',
    );
    expect(swarm.member('w1').entry!.groups.main!.connect_per_s).toBe(10);
    expect(await swarm.ask({ op: 'connect_rate', per_s: 6000 })).toBe(
      'OK connect rate 5000 per second (asked 6000: --max-connect-rate 5000) (segment 2/5: 1000 here)',
    );
  });

  it('traces its own clients, by the ids of the whole', async () => {
    const swarm = await up(['w1', 'w2']);
    await swarm.incr(1000);
    const own = [1, 2].map((index) => id_at(segment, index));
    const taken = own.map((id) => swarm.coordinator.trace(id, 5, () => {}));
    await swarm.settle();
    expect((await Promise.all(taken)).map(said)).toEqual([
      `OK trace of client ${own[0]} in w1`,
      `OK trace of client ${own[1]} in w2`,
    ]);
    expect(swarm.member('w2').entry!.traces).toMatchObject([{ client: own[1] }]);
    const foreign = Array.from({ length: 10 }, (_, i) => i + 1).find((id) => index_of(segment, id) === null)!;
    expect(await swarm.coordinator.trace(foreign, 5, () => {})).toMatchObject({ ok: false, code: 'no_such_client' });
  });
});

describe('trace', () => {
  it('brings one client’s lines until its time is over', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(10);
    const lines: (string | null)[] = [];
    const taken = swarm.coordinator.trace(4, 5, (line) => lines.push(line));
    await swarm.settle();
    expect(said(await taken)).toBe('OK trace of client 4 in w2');
    swarm.member('w2').lines.push('> hello', '< OK');
    await swarm.pass(1000);
    expect(lines).toEqual(['> hello', '< OK']);
    await swarm.pass(4000);
    expect(lines).toEqual(['> hello', '< OK', null]);
    expect(swarm.member('w2').entry!.traces).toEqual([]);
  });

  it('knows no client beyond those there were, and runs 16 at once', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    await swarm.incr(10);
    expect(await swarm.coordinator.trace(11, 5, () => {})).toMatchObject({ ok: false, code: 'no_such_client' });
    const started = Array.from({ length: 16 }, (_, i) => swarm.coordinator.trace(1 + (i % 10), 5, () => {}));
    await swarm.settle();
    const first = (await Promise.all(started))[0]!;
    expect(await swarm.coordinator.trace(1, 5, () => {})).toMatchObject({ ok: false, code: 'too_many' });
    first.stop!();
    const again = swarm.coordinator.trace(1, 5, () => {});
    await swarm.settle();
    expect(await again).toMatchObject({ ok: true });
  });
});

describe('stop', () => {
  it('drains, ends, tears down once, and tells how it ended', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(100);
    expect(await swarm.ask({ op: 'stop', now: false })).toBe(
      'OK stopping, within 12 s, then teardown of the module within 60 s',
    );
    const ended = await swarm.coordinator.ended;
    expect(ended).toMatchObject({ unconfirmed: [], teardown_failed: null, given_up: false });
    expect(ended.summary).toMatchObject({
      final: true,
      phase: 'stop',
      balanced: true,
      complete: true,
      clients: { live: 0 },
    });
    expect(
      swarm.orders_out.filter(({ live }) => live.teardown_by !== null).map(({ live }) => live.teardown_by),
    ).toEqual(['w1']);
    expect(swarm.orders_out.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1])).toEqual([
      'run',
      'drain',
      'stop',
    ]);
    expect(swarm.ticking).toBe(false);
    expect(swarm.coordinator.summary()).toBe(ended.summary);
    expect(await swarm.incr(1)).toBe('ERR stopping the swarm is stopping');
    expect(await swarm.ask({ op: 'stop', now: true })).toMatch(/^ERR stopping/);
  });

  it('ends at once those who do not finish within the drain timeout', async () => {
    const swarm = await FakeSwarm.up(['w1']);
    swarm.members[0]!.lingers = true;
    await swarm.incr(10);
    await swarm.ask({ op: 'stop', now: false });
    expect(await swarm.incr(1)).toBe('ERR stopping the swarm is stopping');
    await swarm.pass(9500);
    expect(swarm.clients).toEqual([10]);
    await swarm.pass(1000);
    expect(swarm.clients).toEqual([0]);
    expect((await swarm.coordinator.ended).summary.balanced).toBe(true);
  });

  it('stop now overtakes a stop', async () => {
    const swarm = await FakeSwarm.up(['w1'], { has_teardown: false });
    swarm.members[0]!.lingers = true;
    await swarm.incr(10);
    expect(await swarm.ask({ op: 'stop', now: false })).toBe('OK stopping, within 12 s');
    expect(await swarm.ask({ op: 'stop', now: true })).toBe('OK stopping now');
    expect((await swarm.coordinator.ended).unconfirmed).toEqual([]);
  });

  it('ends in bounded time though a worker is silent, and names it', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    await swarm.incr(10);
    swarm.member('w2').listens = false;
    await swarm.pass(4000);
    expect(await swarm.ask({ op: 'stop', now: true })).toMatch(
      /^OK stopping now, then teardown of the module within 60 s, 1 of 2 workers acknowledged \(w2 silent/,
    );
    await swarm.pass(1000);
    expect(await swarm.coordinator.ended).toMatchObject({
      unconfirmed: ['w2'],
      teardown_failed: null,
      // it is killed: what it held is lost, and the summary says so
      summary: { balanced: true, complete: false, clients: { live: 0, lost: 5 }, lost_workers: [{ worker: 'w2' }] },
    });
  });

  it('a worker that dies while draining is not waited for', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    swarm.member('w2').lingers = true;
    await swarm.incr(10);
    await swarm.ask({ op: 'stop', now: false });
    swarm.member('w2').die();
    await swarm.settle();
    expect(await swarm.coordinator.ended).toMatchObject({
      unconfirmed: [],
      summary: { complete: false, clients: { lost: 5 } },
    });
  });

  it.each([
    ['says why teardown failed', { ok: false, reason: 'no such room' } as const, 0, 'no such room'],
    ['gives teardown a minute', null, 60_000, 'no result within 60 s'],
  ])('%s', async (_, teardown, wait, reason) => {
    const swarm = await FakeSwarm.up(['w1']);
    swarm.members[0]!.teardown = teardown;
    await swarm.ask({ op: 'stop', now: true });
    await swarm.pass(wait);
    expect((await swarm.coordinator.ended).teardown_failed).toBe(reason);
  });
});

describe('start', () => {
  it('gives the result of setup, run in one member, to all, a later process too', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    const asked = swarm.orders_out.filter(({ live }) => live.setup_by !== null);
    expect(new Set(asked.map(({ live }) => live.setup_by))).toEqual(new Set(['w1']));
    expect(swarm.member('w2').orders).toMatchObject({
      run: RUN,
      machine: MACHINE,
      live: { ...LIVE, zero_ms: expect.any(Number) as number, shared: { value: { room: 7 } } },
    });
    swarm.member('w2').die();
    swarm.member('w2').start();
    await swarm.settle();
    expect(swarm.member('w2').orders!.live.shared).toEqual({ value: { room: 7 } });
  });

  it.each([
    ['fails', { ok: false, reason: 'login refused' } as const, 0, /setup of the module failed: login refused/],
    ['takes more than a minute', null, 60_000, /no result within 60 s/],
  ])('a setup that %s ends it', async (_, setup, wait, message) => {
    const swarm = new FakeSwarm(['w1']);
    swarm.members[0]!.setup = setup;
    swarm.members[0]!.start();
    const failed = expect(swarm.coordinator.setup()).rejects.toThrow(message);
    await swarm.settle();
    await swarm.pass(wait);
    await failed;
  });

  it('a worker that dies in setup fails it', async () => {
    const swarm = new FakeSwarm(['w1', 'w2']);
    for (const member of swarm.members) member.setup = null;
    for (const member of swarm.members) member.start();
    const failed = expect(swarm.coordinator.setup()).rejects.toThrow('worker w1 died while it ran');
    await swarm.settle();
    swarm.member('w1').die();
    await failed;
  });

  it('waits for every worker, and names who is missing', async () => {
    const swarm = new FakeSwarm(['w1', 'w2']);
    swarm.member('w1').start();
    const late = expect(swarm.coordinator.ready(3000)).rejects.toThrow('1 of 2 are up (w2 starting)');
    await swarm.pass(3000);
    await late;
    const ready = swarm.coordinator.ready(3000);
    swarm.member('w2').start();
    await expect(ready).resolves.toBeUndefined();
  });
});

describe('the series and the events', () => {
  it('have each second, who did not tell and who died, and add up to the summary', async () => {
    const swarm = await FakeSwarm.up(['w1', 'w2']);
    const { series, events } = swarm.coordinator;
    await swarm.incr(100);
    await swarm.pass(3000);
    swarm.member('w2').listens = false;
    await swarm.pass(2000);
    swarm.member('w2').die();
    await swarm.pass(1000);
    swarm.member('w2').start();
    await swarm.pass(2000);
    const rows = [...series.rows()];
    expect(rows.map(({ second, length_s, not_told }) => [second, length_s, Object.keys(not_told)])).toEqual([
      ...[0, 1, 2, 3].map((second) => [second, 1, []]),
      [4, 1, ['w2']],
      ...[5, 6, 7].map((second) => [second, 1, []]),
    ]);
    expect(rows.map(({ gauges }) => gauges.open)).toEqual([100, 100, 100, 100, 100, 50, 100, 100]);
    expect(rows.map(({ counters }) => counters.connected)).toEqual([100, 0, 0, 0, 0, 0, 50, 0]);
    const members = rows.at(-1)!.members();
    expect(members.map(({ id, open }) => [id, open])).toEqual([
      ['w1', 50],
      ['w2', 50],
    ]);
    expect(events.last(10).map(({ kind, text, by }) => `${kind} ${by}: ${text}`)).toEqual([
      'command somebody: incr 100',
      'worker w1: up',
      'worker w2: up',
      'worker w2: up → restarting',
      'worker w2: restarting → up',
    ]);
    await swarm.ask({ op: 'stop', now: true });
    const { summary } = await swarm.coordinator.ended;
    expect(summary.balanced).toBe(true);
    expect(series.totals()!.counters.connected).toBe(summary.connections.established);
  });
});
