import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { start_processes } from '../../src/cluster/processes.ts';
import type { Account } from '../../src/swarm/plan/account.ts';
import type { Orders } from '../../src/swarm/plan/orders.ts';
import type { MemberId } from '../../src/swarm/plan/run-spec.ts';
import type { Death, Hub } from '../../src/swarm/plan/seam.ts';
import { main_of } from '../metrics/one-group.ts';
import { MACHINE, RUN } from '../swarm/fake-swarm.ts';
import { LIVE } from '../swarm/specs.ts';
import { build_fixtures, eventually, is_alive, type Built } from './built.ts';

let built: Built;
beforeAll(async () => {
  built = await build_fixtures();
});
afterAll(() => built.remove());

/** sched(7), `policy` of proc_pid_stat(5) */
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const policies_of = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
  });

class Swarm {
  readonly hub: Hub;
  readonly notes: string[] = [];
  readonly accounts = new Map<MemberId, Account>();
  readonly gone: [MemberId, string, boolean, string][] = [];
  readonly deaths: (Death | null)[] = [];
  #revision = 0;

  constructor(members: MemberId[]) {
    this.hub = start_processes({ members, entry: built.worker, on_note: (_, { text }) => this.notes.push(text) });
    this.hub.onAccount((member, account) => this.accounts.set(member, account));
    this.hub.onGone((member, incarnation, attested, absence, death) => {
      this.gone.push([member, incarnation, attested, absence]);
      this.deaths.push(death);
    });
    this.hub.want(members);
  }

  publish(phase: Orders['phase'] = 'run'): number {
    const main = { clients: 5, ids: [[1, 9, 2]], connect_per_s: 1, rate_parts: 1, graceful: false } as const;
    const entries = [...this.accounts].map(([member, { incarnation }]) => [
      member,
      { incarnation, groups: { main }, traces: [] },
    ]);
    const members = Object.fromEntries(entries) as Orders['members'];
    this.hub.publish({ revision: ++this.#revision, phase, run: RUN, machine: MACHINE, live: LIVE, members });
    return this.#revision;
  }

  pid(member: MemberId): number {
    return this.accounts.get(member)!.pid;
  }
}

const open: Swarm[] = [];
const start = (...members: MemberId[]): Swarm => {
  const swarm = new Swarm(members);
  open.push(swarm);
  return swarm;
};
afterEach(async () => {
  for (const swarm of open.splice(0)) await swarm.hub.close(2000);
});

describe('workers as processes', () => {
  it('say hello, take plans, report with typed arrays, and end when asked', async () => {
    const swarm = start('w1', 'w2');
    await eventually(() => swarm.accounts.size === 2);
    const pids = [swarm.pid('w1'), swarm.pid('w2')];
    expect(main_of(swarm.accounts.get('w1')!.snapshot).connections.connect.indices).toBeInstanceOf(Uint32Array);
    const revision = swarm.publish();
    await eventually(() => [...swarm.accounts.values()].every((account) => account.revision === revision));
    // each gets its own entry only
    expect(swarm.accounts.get('w2')!.notes).toEqual([{ level: 'info', text: 'w2' }]);
    expect(await swarm.hub.close(60_000)).toEqual([]);
    expect(pids.map(is_alive)).toEqual([false, false]);
    expect(swarm.gone.map(([member, , attested, absence]) => [member, attested, absence]).sort()).toEqual([
      ['w1', true, 'gone'],
      ['w2', true, 'gone'],
    ]);
    swarm.publish(); // nobody there: nothing happens
  });

  it('killed with -9: noticed, replaced under a new incarnation', async () => {
    const swarm = start('w1', 'w2');
    await eventually(() => swarm.accounts.size === 2);
    const { pid, incarnation } = swarm.accounts.get('w1')!;
    process.kill(pid, 'SIGKILL');
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.gone).toEqual([['w1', incarnation, true, 'restarting']]);
    expect(swarm.notes).toEqual([`worker w1 (pid ${pid}) died of SIGKILL; starting again in 0.1 s`]);
    await eventually(() => swarm.pid('w1') !== pid);
    expect(swarm.accounts.get('w1')!.incarnation).not.toBe(incarnation);
  });

  it('killed as they do not answer: told as that, and replaced', async () => {
    const swarm = start('w1');
    await eventually(() => swarm.accounts.size === 1);
    const pid = swarm.pid('w1');
    process.kill(pid, 'SIGSTOP');
    for (let i = 0; i < 3; i++) swarm.hub.kill!('w1', 'did not answer for 5 s');
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.deaths).toEqual([
      { code: 'worker_stalled', text: `worker w1 (pid ${pid}) did not answer for 5 s: killed` },
    ]);
    expect(swarm.notes).toEqual([
      `worker w1 (pid ${pid}) did not answer for 5 s: killed`,
      `worker w1 (pid ${pid}) died of SIGKILL; starting again in 0.1 s`,
    ]);
    await eventually(() => swarm.pid('w1') !== pid);
    swarm.hub.kill!('nobody', 'why');
  });

  it('that Node aborts: told with the assertion', async () => {
    const swarm = start('assert');
    await eventually(() => swarm.deaths.length === 5);
    for (const death of swarm.deaths)
      expect(death).toEqual({
        code: 'worker_died',
        text: expect.stringMatching(
          /^worker assert \(pid \d+\) died of SIGABRT: Assertion failed: args\[0\]->IsInt32\(\) \(.*tcp_wrap\.cc:\d+\)$/,
        ) as string,
      });
    expect(swarm.notes.at(-1)).toMatch(/died of SIGABRT: Assertion failed: .*; given up, one try each 60 s$/);
  });

  it('that die five times are given up', async () => {
    const swarm = start('crash');
    await eventually(() => swarm.gone.length === 5);
    expect(swarm.gone.map(([, , , absence]) => absence)).toEqual([...Array<string>(4).fill('restarting'), 'given_up']);
    expect(new Set(swarm.gone.map(([, incarnation]) => incarnation)).size).toBe(5);
    expect(swarm.notes.at(-1)).toMatch(/exited with code 3; given up, one try each 60 s$/);
  });

  it('end when they are not wanted any more, without a word about it, and can be wanted again', async () => {
    const swarm = start('w1', 'w2');
    await eventually(() => swarm.accounts.size === 2);
    const { pid, incarnation } = swarm.accounts.get('w2')!;
    swarm.hub.want(['w1']);
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.gone).toEqual([['w2', incarnation, true, 'gone']]);
    expect(is_alive(pid)).toBe(false);
    swarm.hub.want(['w1', 'w2']);
    await eventually(() => swarm.pid('w2') !== pid);
    expect(is_alive(swarm.pid('w1'))).toBe(true);
    expect(swarm.notes).toEqual([]);
  });

  it('that do not end though they are not wanted any more are killed after 5 s', async () => {
    const swarm = start('stubborn');
    await eventually(() => swarm.accounts.size === 1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    swarm.hub.want([]);
    vi.advanceTimersByTime(5000);
    vi.useRealTimers();
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.notes[0]).toMatch(/^worker stubborn \(pid \d+\) did not end within 5 s: killed$/);
  });

  it('end though they are not wanted any more before they said hello', async () => {
    const swarm = start('w1');
    swarm.hub.want([]);
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.notes).toEqual([]);
  });

  it.each([
    ['a few somewhat, on large pages', 2, 5, false],
    ['a crowd altogether, on the pages all share', 9, 19, true],
  ])('give way to others: %s', async (_, count, nice, in_crowd) => {
    const names = Array.from({ length: count }, (_, i) => `w${i + 1}`);
    const swarm = start(...names);
    await eventually(() => swarm.accounts.size === count);
    expect(names.map((name) => getPriority(swarm.pid(name)))).toEqual(names.map(() => nice));
    const options = names.map((name) => readFileSync(`/proc/${swarm.pid(name)}/cmdline`, 'utf8'));
    expect(options.map((text) => text.includes('--use-largepages='))).toEqual(names.map(() => !in_crowd));
    // who steers more than there are cores goes first, where it may
    const may = process.getuid!() === 0 && existsSync('/usr/bin/chrt') && count > availableParallelism();
    await eventually(() => policies_of(process.pid).every((policy) => policy === (may ? SCHED_RR : SCHED_OTHER)));
    expect(names.map((name) => policies_of(swarm.pid(name))).flat()).not.toContain(SCHED_RR);
    await swarm.hub.close(5000);
    expect(new Set(policies_of(process.pid))).toEqual(new Set([SCHED_OTHER]));
  });

  it('do not end of SIGINT, SIGTERM or SIGHUP', async () => {
    const swarm = start('w1');
    await eventually(() => swarm.accounts.size === 1);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(swarm.pid('w1'), signal);
    const revision = swarm.publish();
    await eventually(() => swarm.accounts.get('w1')!.revision === revision);
    expect(swarm.gone).toEqual([]);
  });

  it('that do not end by the deadline are killed and named', async () => {
    const swarm = start('w1', 'stubborn');
    await eventually(() => swarm.accounts.size === 2);
    expect(await swarm.hub.close(5000)).toEqual(['stubborn']);
    expect(is_alive(swarm.pid('stubborn'))).toBe(false);
  });

  it('may leave inside a message handler', async () => {
    const swarm = start('leaver');
    await eventually(() => swarm.accounts.size === 1);
    const revision = swarm.publish('stop');
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.accounts.get('leaver')!.revision).toBe(revision);
    expect(swarm.notes[0]).toMatch(/exited with code 0; /);
  });

  it('stopped by the system get one plan, the newest, when they go on', async () => {
    const swarm = start('w1');
    await eventually(() => swarm.accounts.size === 1);
    process.kill(swarm.pid('w1'), 'SIGSTOP');
    let revision = 0;
    const seen: number[] = [];
    swarm.hub.onAccount((_, account) => seen.push(account.revision));
    for (let i = 0; i < 20_000; i++) revision = swarm.publish();
    process.kill(swarm.pid('w1'), 'SIGCONT');
    await eventually(() => seen.at(-1) === revision);
    expect(seen.length).toBeLessThan(100);
  });

  it('that never say hello are killed after 30 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const swarm = start('mute');
    vi.advanceTimersByTime(29_999);
    expect(swarm.notes).toEqual([]);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    expect(swarm.notes[0]).toMatch(/^worker mute \(pid \d+\) said nothing within 30 s: killed$/);
    await eventually(() => swarm.gone.length === 1);
    expect(swarm.notes[1]).toMatch(/died of SIGKILL; starting again in 0.1 s$/);
  });

  it('do not outlive a daemon killed with -9, not even a busy one', async () => {
    const daemon = spawn(process.execPath, [built.daemon, built.worker, 'w1', 'busy'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(daemon.stdout, 'data')) as [Buffer];
    const pids = JSON.parse(line.toString()) as number[];
    expect(pids.map(is_alive)).toEqual([true, true]);
    await new Promise((resolve) => setTimeout(resolve, 400)); // until it is busy
    daemon.kill('SIGKILL');
    await eventually(() => !pids.some(is_alive));
  });
});
