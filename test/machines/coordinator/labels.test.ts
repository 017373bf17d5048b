import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/grammar/command.ts';
import { sentence } from '../../../src/grammar/sentences.ts';
import type { KnownAgent } from '../../../src/machines/coordinator/agent-seats.ts';
import { next_shares } from '../../../src/machines/coordinator/agent-shares.ts';
import { first_desired, next_desired, type Asking } from '../../../src/machines/coordinator/desired.ts';
import { first_plan } from '../../../src/machines/coordinator/leader.ts';
import type { Desired, Presence, SwarmPlan } from '../../../src/machines/store/documents.ts';
import type { Facts } from '../../../src/swarm/plan/carry-out.ts';
import { map_groups } from '../../../src/metrics/groups.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { GROUPS } from '../../swarm/specs.ts';
import { flat } from '../main-share.ts';

const FACTS: Facts = {
  run_ms: 0,
  wall_ms: 0,
  room: { capacity: 1000, why: '', per_member: 100, members: 3, bounds: [], more_by: null },
  segment: WHOLE,
  groups: GROUPS,
  max_connect_per_s: null,
  fatal: 0,
  stop_ms: 0,
  teardown_ms: null,
  agents: {
    are_gathering: false,
    here: ['a', 'b', 'c'],
    incarnation: () => null,
    room_on: (label) => (label === 'moon' ? null : 100),
  },
};
const RUN = {
  id: 'r',
  swarm: '0',
  bundle_sha256: '',
  agents: 0,
  isolation_ms: 55_000,
  signature: '',
  started: '',
};
const asking: Asking = { session: 's', seq: 1, run_ms: 0, wall_ms: 0 };

const agent = (id: string, labels: string[], more: Partial<Presence> = {}): KnownAgent => ({
  id,
  silent_ms: 0,
  known_ms: 0,
  presence: {
    incarnation: `${id}1`,
    replaces: [],
    slots: {},
    seq: 1,
    host: id,
    machine: id,
    pid: 1,
    swarm: '0',
    node: '',
    labels,
    weight: 1,
    capacity: 100,
    capacity_why: '',
    ready: 'r',
    refuses: null,
    accepted: 1000,
    applied: 1000,
    may: {},
    ids_wanted: {},
    results: 0,
    live: 0,
    open: 0,
    cpu: 0,
    rss_bytes: 0,
    lag_p99_ms: 0,
    leaving: false,
    states: { initial: 0, connect: 0, acting: 0, standby: 0, backoff: 0, fatal: 0 },
    run_ms: 0,
    wall_ms: 0,
    fenced: 0,
    ...more,
  },
});

/** Carries out commands, and plans until nothing changes: each agent does at once what it is told. */
class Small {
  desired: Desired = first_desired('r', 1000, false);
  plan: SwarmPlan = first_plan(RUN, this.desired, 1, 'e', null, GROUPS);
  agents: KnownAgent[];
  said = '';

  constructor(...agents: KnownAgent[]) {
    this.agents = agents;
  }

  do(...commands: Command[]): this {
    for (const command of commands) {
      const { desired, reply } = next_desired(this.desired, command, 'somebody', asking, FACTS);
      this.said = reply.ok ? sentence({ ...reply, followers: null }) : sentence(reply);
      this.desired = desired ?? this.desired;
    }
    for (let i = 0; i < 4; i++) {
      const now = {
        groups: GROUPS,
        desired: this.desired,
        agents: this.agents,
        run_ms: 0,
        reassign_ms: 60_000,
        silent_ms: () => 0,
        at: '',
        planned: () => 0,
      };
      const shares = next_shares(this.plan, this.plan.revision + 1, now);
      this.plan = { ...this.plan, ...shares, revision: this.plan.revision + 1 };
      this.agents = this.agents.map(({ presence, ...one }) => {
        return {
          ...one,
          presence: { ...presence, may: map_groups(shares.members[one.id]?.groups ?? {}, ({ ramp }) => ramp.to) },
        };
      });
    }
    return this;
  }

  get shares(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.plan.members).map(([id, entry]) => [id, flat(entry).ramp.to]));
  }
}

const incr = (count: number, on?: string): Command => ({
  op: 'incr',
  count,
  over_ms: 0,
  ...(on !== undefined && { on }),
});
const decr = (count: number, on?: string): Command => ({
  op: 'decr',
  count,
  graceful: false,
  over_ms: 0,
  ...(on !== undefined && { on }),
});

describe('clients on a label', () => {
  it('go to agents that have it, all others to any', () => {
    const small = new Small(agent('a', ['eu']), agent('b', ['eu', 'big']), agent('c', ['us']));
    expect(small.do(incr(30)).shares).toEqual({ a: 10, b: 10, c: 10 });
    expect(small.do(incr(40, 'eu')).shares).toEqual({ a: 30, b: 30, c: 10 });
    expect(small.said).toBe('target 70 (40 on eu)');
    expect(small.do(incr(5, 'us')).shares).toEqual({ a: 30, b: 30, c: 15 });
    expect(small.do(decr(40, 'eu')).shares).toEqual({ a: 10, b: 10, c: 15 });
    expect(small.desired.target).toBe(35);
  });

  it('wait where no agent has it, or those that do are full', () => {
    const small = new Small(agent('a', ['eu']), agent('b', []));
    expect(small.do(incr(10, 'moon')).shares).toEqual({ a: 0, b: 0 });
    expect(small.said).toContain('no agent has the label moon, they wait for one');
    small.agents.push(agent('m', ['moon']));
    expect(small.do().shares).toEqual({ a: 0, b: 0, m: 10 });
    expect(small.do(incr(150, 'eu')).shares).toEqual({ a: 100, b: 0, m: 10 });
  });

  it('go first when they wait: nobody who runs hangs up for them', () => {
    const small = new Small(agent('a', []), agent('b', []));
    small.do(incr(10), incr(10, 'moon'));
    expect(small.shares).toEqual({ a: 5, b: 5 });
    expect(small.do(decr(10)).shares).toEqual({ a: 5, b: 5 });
    expect(small.desired).toMatchObject({ target: 10, labelled: {} });
    expect(small.do(decr(4)).shares).toEqual({ a: 3, b: 3 });
  });

  it('stay when others go, and are shared anew among those that have it', () => {
    const small = new Small(agent('a', ['eu']), agent('b', ['us']));
    small.do(incr(20, 'eu'), incr(20));
    expect(small.shares).toEqual({ a: 30, b: 10 });
    small.agents.push(agent('c', ['eu']));
    expect(small.do().shares).toEqual({ a: 30, b: 10, c: 0 });
    const sum = (shares: Record<string, number>): number => Object.values(shares).reduce((all, one) => all + one, 0);
    const { shares } = small.do({ op: 'rebalance' });
    expect([shares.a! + shares.c! >= 20, sum(shares)]).toEqual([true, 40]);
    expect(Math.abs(shares.a! - shares.c!)).toBeLessThanOrEqual(1);
  });

  it('give way last when the target falls below them', () => {
    const small = new Small(agent('a', ['eu']), agent('b', ['us']));
    small.do(incr(20, 'eu'), incr(10, 'us'), incr(10), decr(10));
    expect(small.desired.labelled).toEqual({ eu: 20, us: 10 });
    expect(small.do(decr(15)).desired.labelled).toEqual({ eu: 15 });
    expect(small.do(decr(99)).desired).toMatchObject({ target: 0, labelled: {} });
    expect(small.shares).toEqual({ a: 0, b: 0 });
  });
});
