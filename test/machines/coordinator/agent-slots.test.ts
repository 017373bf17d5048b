/** Who fires which slots, of all agents, as leaders deal them: against a record of every slot. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { lost_slots, next_slots } from '../../../src/machines/coordinator/agent-slots.ts';
import type { KnownAgent, ShareInput } from '../../../src/machines/coordinator/agent-seats.ts';
import type { Departed, MemberShare, Presence, SwarmPlan } from '../../../src/machines/store/documents.ts';
import type { SlotsWord } from '../../../src/machines/store/slot-documents.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { begin_rate, slots_by } from '../../../src/swarm/plan/rate-piece.ts';
import { part_of, PLACES, type Places } from '../../../src/swarm/plan/segment.ts';
import { DESIRED, PLAN, PRESENCE, SHARE } from '../store/good-documents.ts';

const KEY = `${MAIN}.0`;
const GROUPS = [
  {
    name: MAIN,
    share: 1,
    actions: [{ index: 0, loop: MAIN, name: 'go', rate: { to_rate: 0, is_poisson: false, draws: 1 } }],
  },
];
const RATE = begin_rate(0, { to_rate: 20e6, over_us: 0, poisson: false }, 0);
const due = (ms: number): number => slots_by(RATE.piece, ms * 1000);
const is_in = (places: Places, slot: number): boolean => part_of(places, slot) > part_of(places, slot - 1);

/** An agent that makes its slots by the plan that it heard of last. */
class FakeAgent {
  readonly incarnation: string;
  clients = 1;
  planned = 0;
  ended = 0;
  #stretches = new Map<
    number,
    { readonly stretch: Places & { readonly first: number }; at: number; closed: number | null }
  >();

  constructor(incarnation: string) {
    this.incarnation = incarnation;
  }

  hear(id: string, plan: SwarmPlan): void {
    if (plan.seeded > 0) return;
    const held = (plan.slots[KEY]?.held ?? []).filter(({ owner }) => owner === id);
    for (const [known, { stretch, closed, at }] of this.#stretches) {
      if (held.some((one) => one.id === known)) continue;
      const last = closed ?? at;
      this.ended += part_of(stretch, last) - part_of(stretch, stretch.first - 1);
      this.#stretches.delete(known);
    }
    for (const { id: tenure, closing, ...stretch } of held) {
      const own = this.#stretches.get(tenure) ?? { stretch, at: stretch.first - 1, closed: null };
      this.#stretches.set(tenure, own);
      if (closing) own.closed ??= own.at;
    }
  }

  make(ms: number, made: (slot: number) => void): void {
    for (const own of this.#stretches.values()) {
      if (own.closed !== null) continue;
      for (let slot = own.at + 1; slot <= due(ms); slot++)
        if (is_in(own.stretch, slot)) {
          this.planned++;
          made(slot);
        }
      own.at = Math.max(own.at, due(ms));
    }
  }

  get word(): SlotsWord {
    const stretches = [...this.#stretches].map(
      ([
        id,
        {
          stretch: { from, to, first },
          at,
          closed,
        },
      ]) => {
        return { id, from, to, first, at, closed };
      },
    );
    return { [KEY]: { stretches, ended: this.ended } };
  }
}

/** Leaders that know nothing but the plan, and agents that they hear late. */
class FakeSwarm {
  readonly agents = new Map<string, FakeAgent>();
  readonly told = new Map<
    string,
    { readonly word: SlotsWord; readonly incarnation: string; readonly accepted: number }
  >();
  readonly planned = new Map<string, number>();
  readonly owners = new Map<number, string>();
  plan: SwarmPlan = { ...PLAN, rates: { [KEY]: RATE }, slots: {}, members: {}, departed: [], unconfirmed: [] };
  ms = 0;
  #incarnations = 0;

  join(id: string): void {
    if (!this.agents.has(id)) this.agents.set(id, new FakeAgent(`i${++this.#incarnations}`));
  }

  make(): void {
    for (const agent of this.agents.values())
      agent.make(this.ms, (slot) => {
        expect(this.owners.get(slot), `slot ${slot}`).toBeUndefined();
        this.owners.set(slot, agent.incarnation);
      });
  }

  tell(id: string): void {
    const agent = this.agents.get(id);
    if (agent === undefined) return;
    this.told.set(id, { word: agent.word, incarnation: agent.incarnation, accepted: this.plan.revision });
    this.planned.set(agent.incarnation, agent.planned);
  }

  hear(id: string): void {
    this.agents.get(id)?.hear(id, this.plan);
  }

  /** The next leader's plan. `dead`: agents that are known to be. */
  lead(dead: readonly string[] = [], is_sure = true): void {
    const gone = dead.flatMap((agent): Departed[] => {
      const entry = this.plan.members[agent];
      return entry ? [{ ...PLAN.departed[0]!, agent, incarnation: entry.incarnation, slots: {} }] : [];
    });
    const members = Object.fromEntries(
      [...this.agents].map(([id, { incarnation, clients }]): [string, MemberShare] => {
        const share = { ...SHARE.groups[MAIN]!, ramp: { from: clients, to: clients, start_ms: 0, end_ms: 0 } };
        return [id, { ...SHARE, incarnation, groups: { [MAIN]: share } }];
      }),
    );
    const agents = [...this.told].map(([id, { word, incarnation, accepted }]): KnownAgent => {
      const presence: Presence = { ...PRESENCE, incarnation, slots: word, ready: PLAN.run.id, accepted };
      return { id, presence, silent_ms: 0, known_ms: 0 };
    });
    const desired = { ...DESIRED, rates: { [KEY]: RATE }, drained: [] };
    const now = { groups: GROUPS, desired, agents, run_ms: this.ms } as unknown as ShareInput;
    const { slots, gone: departed } = next_slots(this.plan, members, gone, is_sure, now);
    // as it is stored and read
    this.plan = JSON.parse(
      JSON.stringify({
        ...this.plan,
        revision: this.plan.revision + 1,
        run_ms: this.ms,
        slots,
        members,
        departed: [...this.plan.departed, ...departed],
        ...(is_sure && { seeded: 0 }),
      }),
    ) as SwarmPlan;
    const { held, free } = this.plan.slots[KEY]!;
    const all = [...held, ...free].sort((a, b) => a.from - b.from);
    expect([0, ...all.map(({ to }) => to)]).toEqual([...all.map(({ from }) => from), PLACES]);
  }

  get lost(): number {
    const planned = (_: string, incarnation: string): number => this.planned.get(incarnation) ?? 0;
    return lost_slots({ ...this.plan, stage: 'ended', run_ms: this.ms }, planned)[KEY]!;
  }

  get all_planned(): number {
    return [...this.planned.values()].reduce((all, one) => all + one, 0);
  }

  /** All hear and say all. */
  settle(): void {
    for (let i = 0; i < 4; i++) {
      for (const id of this.agents.keys()) this.hear(id);
      this.make();
      for (const id of this.agents.keys()) this.tell(id);
      this.lead();
    }
  }
}

const ids = fc.constantFrom('a', 'b', 'c', 'd');
const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ kind: fc.constantFrom('join', 'hear', 'tell', 'die', 'die and come'), id: ids }),
    fc.record({ kind: fc.constant('clients' as const), id: ids, clients: fc.nat(100) }),
    fc.record({ kind: fc.constant('lead' as const) }),
  ),
  { maxLength: 60 },
);

test('every slot has one owner, and what no agent planned is lost, whoever dies and whoever hears how late', () => {
  const play = (list: typeof events extends fc.Arbitrary<infer T> ? T : never, seeds: boolean): void => {
    const swarm = new FakeSwarm();
    swarm.join('a');
    swarm.settle();
    const middle = Math.floor(list.length / 2);
    for (const [i, event] of list.entries()) {
      if (seeds && i === middle) {
        // the engine lost its memory: the leader's is the newest, and all go on with what they have
        swarm.plan = { ...swarm.plan, seeded: swarm.plan.revision };
        swarm.lead([], false);
        swarm.ms += 500;
        swarm.make();
        for (const id of swarm.agents.keys()) swarm.tell(id);
        swarm.lead();
      }
      if (event.kind === 'wait') {
        swarm.ms += event.ms;
        swarm.make();
      } else if (event.kind === 'lead') swarm.lead();
      else if (event.kind === 'clients') {
        const agent = swarm.agents.get(event.id);
        if (agent) agent.clients = event.clients;
      } else if (event.kind === 'join') {
        swarm.join(event.id);
        swarm.tell(event.id);
      } else if (event.kind === 'hear') swarm.hear(event.id);
      else if (event.kind === 'tell') swarm.tell(event.id);
      else if (swarm.agents.delete(event.id)) {
        if (event.kind === 'die and come') swarm.join(event.id);
        swarm.lead([event.id]);
      }
    }
    swarm.join('z');
    swarm.tell('z');
    swarm.lead();
    swarm.ms += 6000;
    swarm.settle();
    swarm.settle();
    expect(swarm.all_planned + swarm.lost).toBe(due(swarm.ms));
    // what was made and not told is in what is lost
    expect(swarm.owners.size).toBeGreaterThanOrEqual(swarm.all_planned);
  };
  fc.assert(fc.property(events, fc.boolean(), play), { numRuns: 300 });
});

describe('the slots of agents', () => {
  function three(): FakeSwarm {
    const swarm = new FakeSwarm();
    for (const id of ['a', 'b', 'c']) {
      swarm.join(id);
      swarm.tell(id);
    }
    swarm.settle();
    return swarm;
  }

  it('stay as they are while nothing changes, so that no plan is written', () => {
    const swarm = three();
    const { slots } = swarm.plan;
    for (let i = 0; i < 30; i++) {
      swarm.ms += 1000;
      swarm.settle();
      expect(swarm.plan.slots).toEqual(slots);
    }
  });

  it('are few tenures again after whatever was dealt', () => {
    const swarm = three();
    for (let i = 0; i < 40; i++) {
      swarm.agents.get('abc'[i % 3]!)!.clients = 1 + ((i * 37) % 90);
      swarm.ms += 6000;
      swarm.settle();
    }
    expect(swarm.plan.slots[KEY]!.held.length).toBeLessThanOrEqual(3 * 8);
    expect(swarm.lost).toBe(0);
  });

  it('go to nobody else before their owner has ended them', () => {
    const swarm = three();
    swarm.ms += 6000;
    swarm.agents.get('a')!.clients = 98;
    swarm.lead();
    const of_b = swarm.plan.slots[KEY]!.held.filter(({ owner }) => owner === 'b');
    expect(of_b).toMatchObject([{ closing: true }]);
    swarm.lead();
    expect(swarm.plan.slots[KEY]!.held.filter(({ owner }) => owner === 'b')).toEqual(of_b);
  });

  it('of one whose word cannot be, after the engine lost its memory, are nobody’s: it has to end what it claims', () => {
    const swarm = three();
    swarm.plan = { ...swarm.plan, seeded: 1 };
    const { word, ...told } = swarm.told.get('a')!;
    const stretches = word[KEY]!.stretches.map((one) => ({ ...one, from: 0, to: PLACES }));
    swarm.told.set('a', { ...told, word: { [KEY]: { stretches, ended: 0 } } });
    swarm.lead();
    const { held } = swarm.plan.slots[KEY]!;
    expect(held.reduce((all, { from, to }) => all + to - from, 0)).toBeLessThanOrEqual(PLACES);
  });
});
