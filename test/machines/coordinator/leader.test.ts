import { describe, expect, test } from 'vitest';
import type { KnownAgent } from '../../../src/machines/coordinator/agent-seats.ts';
import { first_desired } from '../../../src/machines/coordinator/desired.ts';
import { first_plan, Leader, type LeaderInput } from '../../../src/machines/coordinator/leader.ts';
import type { Desired, Presence, Results, RunHeader, SwarmPlan } from '../../../src/machines/store/documents.ts';
import type { HookResult } from '../../../src/swarm/plan/account.ts';
import { begin, end_load } from '../../../src/swarm/plan/load-play.ts';
import { GROUPS } from '../../swarm/specs.ts';
import { flat } from '../main-share.ts';

const RUN: RunHeader = {
  id: 'r',
  swarm: 's',
  bundle_sha256: '',
  isolation_ms: 10_000,
  agents: 2,
  signature: '',
  started: '2026-01-01T00:00:00Z',
};
const DESIRED = first_desired('r', 100, false);

/** A leader with agents that do at once what the plan says, unless told otherwise. */
class Play {
  now = 0;
  plan: SwarmPlan = first_plan(RUN, DESIRED, 1, 'e', null, GROUPS);
  desired: Desired = DESIRED;
  silent_ms: Readonly<Record<string, number>> = {};
  readonly torn_down_by: string[] = [];
  readonly #told = new Map<string, Partial<Presence>>();
  readonly #hooks: Partial<Record<'setup' | 'teardown', HookResult>> = {};
  #leader: Leader;
  readonly #bundle;

  constructor(has_hooks = false) {
    this.#bundle = { has_setup: has_hooks, has_teardown: has_hooks, drain_timeout_ms: 30_000 };
    this.#leader = this.#new_leader(1);
  }

  #new_leader(term: number): Leader {
    return new Leader({ term, gather_ms: 60_000, groups: GROUPS, bundle: this.#bundle });
  }

  take_over(term: number): void {
    this.#leader = this.#new_leader(term);
  }

  agent(id: string, told: Partial<Presence> = {}): void {
    this.#told.set(id, told);
  }

  hook(which: 'setup' | 'teardown', result: HookResult): void {
    this.#hooks[which] = result;
  }

  want(change: Partial<Desired>): void {
    this.desired = { ...this.desired, ...change, seq: this.desired.seq + 1 };
  }

  /** Turns until nothing changes; the stages on the way. */
  turn(ms = 0): string[] {
    this.now += ms;
    const stages: string[] = [];
    for (let turns = 0; turns < 20; turns++) {
      const next = this.#leader.next(this.plan, this.#seen());
      if (!next) break;
      if (next.stage !== this.plan.stage || next.phase !== this.plan.phase) stages.push(`${next.stage} ${next.phase}`);
      this.plan = next;
      if (next.teardown_by !== null) this.torn_down_by.push(next.teardown_by);
    }
    return stages;
  }

  #seen(): LeaderInput {
    const { now, desired } = this;
    const results = { seq: 1, setup: null, teardown: null, ...this.#hooks } as unknown as Results;
    const agents = [...this.#told].map(([id, told]): KnownAgent => ({
      id,
      presence: this.#presence(id, told),
      silent_ms: this.silent_ms[id] ?? 0,
      known_ms: 0,
    }));
    const silent_ms = (id: string): number => this.silent_ms[id] ?? 0;
    return { desired, agents, results: () => results, silent_ms, now, run_ms: now, wall_ms: now };
  }

  #presence(id: string, told: Partial<Presence>): Presence {
    const entry = this.plan.members[id];
    const share = entry ? flat(entry).ramp.to : 0;
    const live = this.plan.stage === 'open' ? share : 0;
    return {
      incarnation: `${id}-1`,
      replaces: [],
      ready: 'r',
      refuses: null,
      weight: 1,
      capacity: 100,
      leaving: false,
      accepted: this.plan.revision,
      applied: this.plan.revision,
      may: share,
      live,
      open: live,
      results: 1,
      ids_wanted: 0,
      ...told,
    } as unknown as Presence;
  }
}

/** With two agents, opened. */
function opened(has_hooks = false): Play {
  const play = new Play(has_hooks);
  play.agent('a');
  play.agent('b');
  if (has_hooks) play.hook('setup', { ok: true, value: 7 });
  play.turn();
  return play;
}

describe('the stages of a run', () => {
  test('begin when the agents asked for are ready', () => {
    const play = new Play();
    play.agent('a');
    play.agent('b', { ready: null });
    expect(play.turn()).toEqual([]);
    play.agent('b');
    expect(play.turn()).toEqual(['open run']);
    expect(play.plan.shared).toEqual({ value: undefined });
  });

  test('end at once when they are not within their time, which is said', () => {
    const play = new Play();
    play.agent('a');
    play.agent('b', { ready: null, refuses: 'no such module' });
    play.turn();
    expect(play.turn(60_000)).toEqual(['ending stop', 'ended stop']);
    expect(play.plan.failed).toBe('1 of 2 agents are ready (b: no such module)');
  });

  test('that miss agents nobody has seen say how many, and who is here', () => {
    const play = new Play();
    play.plan = { ...play.plan, run: { ...play.plan.run, agents: 4 } };
    play.agent('a');
    play.agent('b', { ready: null });
    play.turn();
    play.turn(60_000);
    expect(play.plan.failed).toBe('1 of 4 agents are ready (b: not ready; 2 not seen; here: a)');
  });

  test('end without one that was started anew and held nothing yet', () => {
    const play = opened();
    play.want({ target: 10 });
    play.turn();
    play.agent('b', {
      incarnation: 'b-2',
      replaces: ['b-1'],
      ready: null,
      capacity: 0,
      accepted: 0,
      applied: 0,
      results: 0,
      may: {},
    });
    play.turn();
    expect(play.plan.members['b']).toMatchObject({ incarnation: 'b-2', groups: { main: { share: 5, may: 0 } } });
    play.want({ phase: 'drain' });
    play.turn();
    expect(play.plan).toMatchObject({ stage: 'ended', unconfirmed: [] });
  });

  test('have one agent run what the module sets up, and know its result', () => {
    const play = new Play(true);
    play.agent('a');
    play.agent('b');
    expect(play.turn()).toEqual(['setup run']);
    expect(play.plan.setup_by).toBe('a');
    play.hook('setup', { ok: true, value: 7 });
    expect(play.turn()).toEqual(['open run']);
    expect(play.plan).toMatchObject({ setup_by: null, shared: { value: 7 }, failed: null });
  });

  test('end when that fails, takes too long, or its agent dies', () => {
    const failing = new Play(true);
    for (const id of ['a', 'b']) failing.agent(id);
    failing.hook('setup', { ok: false, reason: 'no' });
    failing.turn();
    expect(failing.plan).toMatchObject({ stage: 'ended', failed: 'setup of the module failed: no' });
    const late = new Play(true);
    for (const id of ['a', 'b']) late.agent(id);
    late.turn();
    late.turn(60_000);
    expect(late.plan).toMatchObject({ stage: 'ended', failed: 'setup of the module failed: no result within 60 s' });
    const dying = new Play(true);
    for (const id of ['a', 'b']) dying.agent(id);
    dying.turn();
    dying.agent('a', { incarnation: 'a-2', replaces: ['a-1'] });
    dying.turn();
    expect(dying.plan.failed).toBe('setup of the module failed: agent a died while it ran');
  });

  test('follow pause and resume', () => {
    const play = opened();
    play.want({ phase: 'pause' });
    expect(play.turn()).toEqual(['open pause']);
    play.want({ phase: 'run' });
    expect(play.turn()).toEqual(['open run']);
  });

  test('drain, then stop, then end when all have left', () => {
    const play = opened();
    play.want({ target: 10 });
    play.turn();
    play.want({ phase: 'drain' });
    play.agent('a', { live: 3, open: 3 });
    expect(play.turn()).toEqual(['ending drain']);
    play.agent('a');
    expect(play.turn(1000)).toEqual(['ending stop', 'ended stop']);
    expect(play.plan.unconfirmed).toEqual([]);
  });

  test('stop what does not drain in its time, and name who does not even stop', () => {
    const play = opened();
    play.want({ target: 10 });
    play.turn();
    play.want({ phase: 'drain' });
    play.agent('a', { live: 3, open: 3 });
    play.turn();
    expect(play.turn(30_000)).toEqual(['ending stop']);
    play.agent('a', { live: 2, open: 2 });
    expect(play.turn(4000)).toEqual([]);
    // it goes on, if slowly
    expect(play.turn(4999)).toEqual([]);
    expect(play.turn(1)).toEqual(['ended stop']);
    expect(play.plan.unconfirmed).toEqual(['a']);
  });

  test('count the time of a drain from the command, whoever leads', () => {
    const play = opened();
    play.want({ target: 10 });
    play.turn();
    play.now = 777_000;
    play.want({ phase: 'drain' });
    play.agent('a', { live: 3, open: 3 });
    play.turn();
    play.now += 20_000;
    play.take_over(2);
    play.turn();
    expect(play.turn(9999)).toEqual([]);
    expect(play.turn(1)).toEqual(['ending stop']);
  });

  test('wait no longer for one that was silent all the time', () => {
    const play = opened();
    play.want({ target: 10 });
    play.turn();
    play.want({ phase: 'drain' });
    play.agent('a', { live: 3, open: 3 });
    play.turn();
    play.silent_ms = { a: 9000 };
    expect(play.turn(30_000)).toEqual(['ending stop', 'ended stop']);
    expect(play.plan.unconfirmed).toEqual(['a']);
    const now = opened();
    now.want({ target: 10 });
    now.turn();
    now.agent('a', { live: 3, open: 3 });
    now.silent_ms = { a: 9000 };
    now.want({ phase: 'stop' });
    expect(now.turn()).toEqual(['ending stop']);
    expect(now.turn(4999)).toEqual([]);
    expect(now.turn(1)).toEqual(['ended stop']);
  });

  test('have it torn down by an agent that answers', () => {
    const play = opened(true);
    play.want({ phase: 'stop' });
    play.silent_ms = { a: 6000 };
    play.hook('teardown', { ok: true, value: null });
    play.turn();
    expect(play.torn_down_by).toEqual(['b']);
  });

  test('wait at the end for what was measured', () => {
    const play = opened();
    play.want({ phase: 'stop' });
    play.agent('a', { results: 2 });
    expect(play.turn()).toEqual(['ending stop']);
    play.agent('a');
    expect(play.turn()).toEqual(['ended stop']);
  });

  test('have what the module tears down run once, after all have left', () => {
    const play = opened(true);
    play.want({ phase: 'stop' });
    expect(play.turn()).toEqual(['ending stop', 'teardown stop']);
    play.hook('teardown', { ok: false, reason: 'no' });
    expect(play.turn()).toEqual(['ended stop']);
    expect(play.plan.failed).toBe('teardown of the module failed: no');
  });
});

test('a new leader first writes the plan with its own term, then nothing while nothing changes', () => {
  const play = opened();
  const { revision } = play.plan;
  play.turn();
  expect(play.plan.revision).toBe(revision);
  play.take_over(2);
  play.turn();
  expect(play.plan).toMatchObject({ term: 2, revision: revision + 1 });
});

test('a load that somebody kept from ending the run goes on with what he wants, whenever the leader hears of it', () => {
  const text = 'set 10; hold 10s; stop';
  for (const late_ms of [0, 60, 5000]) {
    const play = opened();
    const load = { text, epoch_ms: 0, most: 100, most_per_s: 100 };
    const at = play.now;
    play.want(begin(play.desired, load, GROUPS, at));
    play.turn(1000);
    // just before its stop is due; the leader thinks after it
    play.now = at + 9990;
    play.want(end_load(play.desired, GROUPS, at + 9990));
    play.now = at + 10_010 + late_ms;
    play.turn();
    expect([play.plan.stage, play.plan.phase]).toEqual(['open', 'run']);
    play.want({ target: 15 });
    play.turn(100);
    expect(play.plan.target).toBe(15);
  }
});
