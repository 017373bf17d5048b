/** A leader and agents in the time of a test: what they hold by themselves while a load plays. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Command } from '../../../src/grammar/command.ts';
import type { KnownAgent } from '../../../src/machines/coordinator/agent-seats.ts';
import { decided, first_desired } from '../../../src/machines/coordinator/desired.ts';
import { first_plan, Leader } from '../../../src/machines/coordinator/leader.ts';
import type { Desired, Presence, RunHeader, SwarmPlan } from '../../../src/machines/store/documents.ts';
import { evolve, EvolvingPlan } from '../../../src/machines/store/evolve.ts';
import { map_groups } from '../../../src/metrics/groups.ts';
import { carry_out } from '../../../src/swarm/plan/carry-out.ts';
import { planned_of } from '../../../src/swarm/plan/intent.ts';
import { advance, awaited, piece_at } from '../../../src/swarm/plan/load-play.ts';
import { planned_at } from '../../../src/swarm/plan/ramp.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { group_of } from '../../swarm/specs.ts';
import { drawn_groups, drawn_hand, drawn_steps } from '../../swarm/plan/drawn-loads.ts';
import { text_of, type NaiveGroup } from '../../swarm/plan/naive-load.ts';
import { command_of } from '../../swarm/plan/by-hand.ts';

const RUN: RunHeader = {
  id: 'r',
  swarm: 's',
  bundle_sha256: '',
  isolation_ms: 10_000,
  agents: 0,
  signature: '',
  started: '2026-01-01T00:00:00Z',
};

interface AgentMade {
  readonly capacity: number;
  readonly weight: number;
}

/** One that holds what its plan says, as the agent of that name reads it. */
class Follower {
  readonly id: string;
  readonly made: AgentMade;
  /** it hears the leader, and the leader hears it */
  hears = true;
  plan: SwarmPlan | null = null;
  readonly #evolving = new EvolvingPlan();

  constructor(id: string, made: AgentMade) {
    this.id = id;
    this.made = made;
  }

  /** With its own entry only, as it is sent. */
  take(plan: SwarmPlan): void {
    const entry = plan.members[this.id];
    const own = { ...plan, members: entry ? { [this.id]: entry } : {}, ids: {}, departed: [] };
    if (this.hears) this.plan = JSON.parse(JSON.stringify(own)) as SwarmPlan;
  }

  at(ms: number): SwarmPlan | null {
    return this.plan && this.#evolving.at(this.plan, ms);
  }

  held(ms: number): Record<string, number> {
    return map_groups(this.at(ms)?.members[this.id]?.groups ?? {}, ({ ramp }) => planned_at(ramp, ms));
  }

  may(ms: number): Record<string, number> {
    const held = this.held(ms);
    return map_groups(this.plan?.members[this.id]?.groups ?? {}, ({ at = [] }, name) => Math.max(held[name]!, ...at));
  }
}

class Machines {
  readonly groups;
  readonly followers: Follower[];
  ms = 0;
  desired: Desired = first_desired('r', 100, false);
  plan: SwarmPlan;
  writes = 0;
  #leader: Leader | null = null;
  /** by agent: as the leader heard it last */
  readonly #heard = new Map<string, Presence>();

  constructor(groups: readonly NaiveGroup[], agents: readonly AgentMade[]) {
    this.groups = groups.map((group) => group_of(group));
    this.followers = agents.map((made, i) => new Follower(`a${i}`, made));
    this.plan = first_plan(RUN, this.desired, 1, 'e', null, this.groups);
    this.lead();
  }

  lead(): void {
    const bundle = { has_setup: false, has_teardown: false, drain_timeout_ms: 1000 };
    this.#leader = new Leader({ term: this.plan.term + 1, gather_ms: 0, groups: this.groups, bundle });
  }

  get is_led(): boolean {
    return this.#leader !== null;
  }

  die(): void {
    this.#leader = null;
  }

  do(command: Command): void {
    const { intent } = carry_out(this.desired, command, {
      run_ms: this.ms,
      wall_ms: this.ms,
      room: { capacity: this.capacity, why: '', per_member: 1, members: 1, more_by: null, bounds: [] },
      segment: WHOLE,
      groups: this.groups,
      max_connect_per_s: null,
      fatal: 0,
      stop_ms: 1000,
      teardown_ms: null,
      agents: { are_gathering: false, here: [], incarnation: () => null, room_on: () => null },
    });
    if (intent !== this.desired) this.#want({ ...this.desired, ...intent });
  }

  /** The leader says that a wait is over. */
  pass(): void {
    if (awaited(this.now) !== null && this.now.load!.frozen_ms === null)
      this.#want(decided(this.desired, '', this.groups, this.ms));
  }

  #want(desired: Desired): void {
    this.desired = JSON.parse(JSON.stringify({ ...desired, seq: this.desired.seq + 1 })) as Desired;
  }

  get capacity(): number {
    return this.followers.reduce((all, { made }) => all + made.capacity, 0);
  }

  get now(): Desired {
    return advance(this.desired, this.groups, this.ms);
  }

  /** The leader's turns, until it has nothing to say. Returns how many plans it wrote. */
  turn(): number {
    for (let writes = 0; ; writes++) {
      for (const one of this.followers) if (one.hears) this.#heard.set(one.id, this.#presence(one));
      const agents = [...this.#heard].map(([id, presence]): KnownAgent => ({
        id,
        presence,
        silent_ms: 0,
        known_ms: 1e6,
      }));
      const next = this.#leader?.next(this.plan, {
        desired: this.desired,
        agents,
        results: () => null,
        silent_ms: () => 0,
        now: this.ms,
        run_ms: this.ms,
        wall_ms: this.ms,
      });
      if (!next) return writes;
      if (writes > 20) throw new Error('the leader does not come to rest');
      this.plan = JSON.parse(JSON.stringify(next)) as SwarmPlan;
      for (const one of this.followers) one.take(this.plan);
    }
  }

  /** by group */
  held(ms = this.ms): number[] {
    return this.groups.map(({ name }) => this.followers.reduce((all, one) => all + (one.held(ms)[name] ?? 0), 0));
  }

  /** by group: where all ramps lead */
  ordered(ms = this.ms): number[] {
    const entries = this.followers.map((one) => one.at(ms)?.members[one.id]);
    return this.groups.map(({ name }) => sum(entries.map((entry) => entry?.groups[name]?.ramp.to ?? 0)));
  }

  /** How many agents have fewer and fewer of a group. */
  falling(ms: number, group: string): number {
    const ramps = this.followers.map((one) => one.at(ms)?.members[one.id]?.groups[group]?.ramp);
    return ramps.filter((ramp) => ramp !== undefined && ramp.to < ramp.from && ms < ramp.end_ms).length;
  }

  #presence(one: Follower): Presence {
    const { id, made, plan } = one;
    return {
      incarnation: `${id}-1`,
      replaces: [],
      ready: 'r',
      refuses: null,
      labels: [],
      ...made,
      leaving: false,
      accepted: plan?.revision ?? 0,
      applied: plan?.revision ?? 0,
      may: one.may(this.ms),
      live: 0,
      open: 0,
      results: 1,
      ids_wanted: {},
    } as unknown as Presence;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const agents = fc.array(
  fc.record({ capacity: fc.constantFrom(5, 40, 100, 1000), weight: fc.constantFrom(1, 1, 2, 0.5) }),
  { minLength: 1, maxLength: 5 },
);

/** Agents, a load and how far it is played. */
const scene = drawn_groups.chain((groups) =>
  fc.record({ groups: fc.constant(groups), steps: drawn_steps(groups, false), made: agents, skips: fc.nat(200) }),
);

test('agents that heard a plan once play the load to its end: exact where pieces end, never above', () => {
  fc.assert(
    fc.property(scene, ({ groups, steps, made, skips }) => {
      const swarm = new Machines(groups, made);
      swarm.turn();
      swarm.ms = 1000;
      swarm.do(command_of(`load ${text_of(steps)}`));
      swarm.turn();
      swarm.ms += skips;
      swarm.turn();
      swarm.die();
      let { now } = swarm;
      let told = swarm.plan.ahead.length;
      for (let pieces = 0; pieces < 40; pieces++) {
        const { until_ms, targets } = piece_at(now, swarm.groups, swarm.ms);
        const before = swarm.held();
        const fits = sum(targets) <= swarm.capacity;
        const end = until_ms ?? swarm.ms + 100;
        for (let at = swarm.ms; at < end; at += Math.max(1, (end - swarm.ms) / 7)) {
          const held = swarm.held(at);
          // each that shrinks may be less than a client late
          for (const [g, clients] of held.entries()) {
            const most = Math.max(before[g]!, targets[g]!) + swarm.falling(at, swarm.groups[g]!.name);
            expect(clients, swarm.groups[g]!.name).toBeLessThanOrEqual(most);
          }
          const late = sum(swarm.groups.map(({ name }) => swarm.falling(at, name)));
          expect(sum(held)).toBeLessThanOrEqual(Math.max(sum(before), sum(targets)) + late);
        }
        // what they hold just before the next piece: all ramps are at their end
        const last = swarm.followers.map((one) => one.at(end - 1e-6)!.members[one.id]);
        const held = swarm.groups.map(({ name }) => sum(last.map((entry) => entry?.groups[name]?.ramp.to ?? 0)));
        if (fits) expect(held).toEqual(targets);
        else expect(sum(held)).toBe(swarm.capacity);
        // the leader's own copy of the plan comes to the same
        const whole = evolve(swarm.plan, end - 1e-6);
        expect(last).toEqual(swarm.followers.map(({ id }) => whole.members[id]));
        if (until_ms === null) break;
        [swarm.ms, now] = [until_ms, advance(now, swarm.groups, until_ms)];
        expect(evolve(swarm.plan, swarm.ms)).toMatchObject({ target: now.target, phase: now.phase, mark: now.mark });
        if (now.phase === 'drain' || --told === 0) break;
      }
    }),
    { numRuns: 120 },
  );
});

test('the leader writes no plan at the end of a piece when nothing else has changed', () => {
  fc.assert(
    fc.property(scene, fc.array(fc.nat(40), { minLength: 10, maxLength: 40 }), ({ groups, steps, made }, jumps) => {
      const rates = steps.some((commands) => commands.some(({ op }) => op === 'connect-rate'));
      fc.pre(!rates);
      const swarm = new Machines(groups, made);
      swarm.turn();
      swarm.ms = 1000;
      swarm.do(command_of(`load ${text_of(steps)}`));
      swarm.turn();
      for (const jump of jumps) {
        swarm.ms += jump;
        if (swarm.now.phase === 'drain') break;
        expect(swarm.turn(), `at ${swarm.ms}: ${text_of(steps)}`).toBe(0);
        expect(swarm.followers.map((one) => one.at(swarm.ms)!.members[one.id])).toEqual(
          swarm.followers.map(({ id }) => evolve(swarm.plan, swarm.ms).members[id]),
        );
      }
    }),
    { numRuns: 120 },
  );
});

/** What happens beside a load. */
const events = (groups: readonly NaiveGroup[]) =>
  fc.array(
    fc.record({
      after: fc.nat(30),
      what: fc.oneof(
        { arbitrary: drawn_hand(groups), weight: 2 },
        { arbitrary: fc.constantFrom('deaf', 'hears', 'joins', 'dies', 'leads', 'turn'), weight: 1 },
      ),
      who: fc.nat(9),
    }),
    { maxLength: 25 },
  );

test('whoever comes, is cut off or commands: never more than anybody has wanted, and all is exact once all hear', () => {
  fc.assert(
    fc.property(
      drawn_groups.chain((groups) =>
        fc.record({ groups: fc.constant(groups), steps: drawn_steps(groups), made: agents, happens: events(groups) }),
      ),
      ({ groups, steps, made, happens }) => {
        const swarm = new Machines(groups, made);
        swarm.turn();
        swarm.ms = 1000;
        swarm.do(command_of(`load ${text_of(steps)}`));
        swarm.turn();
        let joined = 0;
        /** by group and of all: what was wanted at most since all knew the same */
        let ceilings = most_of(swarm);
        const check = (): void => {
          // those that leave are asked for nothing any more
          if (swarm.now.phase === 'drain') return;
          const held = swarm.held();
          const wanted = most_of(swarm);
          const knows_all = swarm.followers.every((one) => one.plan?.revision === swarm.plan.revision);
          // a leader may have to say first what comes now
          const { targets, ramps } = piece_at(swarm.now, swarm.groups, swarm.ms);
          const leads_there = !ramps.includes(true) && targets.join() === swarm.ordered().join();
          const is_newest = swarm.plan.desired === swarm.desired.seq && leads_there;
          ceilings = knows_all && is_newest ? wanted : ceilings.map((most, i) => Math.max(most, wanted[i]!));
          const late = swarm.groups.map(({ name }) => swarm.falling(swarm.ms, name));
          for (const [i, clients] of [...held, sum(held)].entries()) {
            const most = ceilings[i]! + [...late, sum(late)][i]!;
            expect(clients, `of ${swarm.groups[i]?.name ?? 'all'} at ${swarm.ms}`).toBeLessThanOrEqual(most);
          }
        };
        for (const { after, what, who } of happens) {
          for (let left = after; left > 0; left--) {
            swarm.ms++;
            check();
            if (swarm.ms % 5 === 0) swarm.turn();
            check();
          }
          const one = swarm.followers[who % swarm.followers.length]!;
          if (what === 'deaf') one.hears = false;
          else if (what === 'hears') one.hears = true;
          else if (what === 'joins' && joined++ < 3) swarm.followers.push(new Follower(`b${joined}`, made[0]!));
          else if (what === 'dies') swarm.die();
          else if (what === 'leads' && !swarm.is_led) swarm.lead();
          else if (what === 'pass') swarm.pass();
          else if (what === 'turn') swarm.turn();
          else if (typeof what === 'object' || what === 'load end') swarm.do(command_of(what));
          check();
        }
        for (const one of swarm.followers) one.hears = true;
        swarm.lead();
        swarm.turn();
        check();
        for (let left = 200; left > 0; left--) {
          swarm.ms++;
          if (swarm.ms % 10 === 0) swarm.turn();
          check();
        }
        swarm.turn();
        const { now, groups: all } = swarm;
        if (now.phase === 'drain' || awaited(now) !== null) return;
        const wanted = piece_at(now, all, swarm.ms).targets;
        if (piece_at(now, all, swarm.ms).ramps.includes(true) || sum(wanted) > swarm.capacity) return;
        expect(swarm.held()).toEqual(wanted);
      },
    ),
    { numRuns: 120 },
  );
});

test('what is wanted at once beside a ramp, and others have to give up first, is there once they did', () => {
  const groups = [
    { name: 'a', share: 1 },
    { name: 'b', share: 1 },
  ];
  const clients = fc.integer({ min: 20, max: 400 });
  const drawn = fc.record({ made: fc.integer({ min: 2, max: 5 }), held: clients, along: clients, more: clients });
  fc.assert(
    fc.property(drawn, fc.integer({ min: 1, max: 500 }), ({ made, held, along, more }, after) => {
      const swarm = new Machines(
        groups,
        Array.from({ length: made }, () => ({ capacity: 1000, weight: 1 })),
      );
      const tell = (command: string): void => {
        swarm.do(command_of(command));
        swarm.turn();
        swarm.ms += 1;
      };
      tell(`incr ${held} in b`);
      tell(`incr ${along} over 1s`);
      swarm.ms += after;
      // nobody says that it has heard, so what b gives up may be running yet
      for (const one of swarm.followers) one.hears = false;
      tell(`decr ${held} in b`);
      tell(`incr ${more} in a`);
      for (const one of swarm.followers) one.hears = true;
      for (const one of swarm.followers) one.take(swarm.plan);
      swarm.turn();
      const planned = planned_of(swarm.now, swarm.groups, swarm.ms);
      for (const [g, clients_held] of swarm.held().entries()) {
        // agents go straight, while a group's part of a sum is a whole number at each moment
        expect(clients_held).toBeLessThanOrEqual(planned[g]! + 1);
        expect(clients_held).toBeGreaterThanOrEqual(planned[g]! - 2 * made);
      }
      swarm.ms += 1000;
      expect(swarm.held()).toEqual(planned_of(swarm.now, swarm.groups, swarm.ms));
    }),
    { numRuns: 200 },
  );
});

/**
 * By group and of all: the most of what is wanted now and at the end of this piece, and of what was to be wanted, as far
 * as somebody has not heard of anything newer.
 */
function most_of(swarm: Machines): number[] {
  const { now, groups, ms, plan, desired, followers } = swarm;
  const wanted = [planned_of(now, groups, ms), piece_at(now, groups, ms).targets];
  for (const one of followers)
    if (one.plan !== null && (one.plan.revision < plan.revision || plan.desired < desired.seq)) {
      const known = one.at(ms)!;
      wanted.push(...one.plan.ahead, planned_of(known, groups, ms), piece_at(known, groups, ms).targets);
    }
  return [...groups.map((_, g) => Math.max(...wanted.map((clients) => clients[g]!))), Math.max(...wanted.map(sum))];
}

describe('what is known ahead', () => {
  const groups = [{ name: 'main', share: 1 }];
  const made = [
    { capacity: 1000, weight: 1 },
    { capacity: 1000, weight: 1 },
  ];

  it('goes to those that come later once nobody can play it without them', () => {
    const swarm = new Machines(groups, made);
    swarm.turn();
    swarm.do(command_of('load set 100; hold 5; set 50; hold 5; set 100; hold 5'));
    swarm.turn();
    swarm.followers.push(new Follower('b', made[0]!));
    swarm.turn();
    swarm.followers[0]!.hears = false;
    for (let ms = 4000; ms <= 20_000; ms += 100) {
      swarm.ms = ms;
      swarm.turn();
      expect(sum(swarm.held()), `at ${ms}`).toBeLessThanOrEqual(5000 <= ms && ms < 10_000 ? 50 : 100);
    }
  });
});
