/**
 * What must hold of a simulated swarm, whatever happens. Checked at each accepted write and each change of what crews hold; the first
 * thing that is wrong is kept until {@link Truth.check}, as code that runs in the world must not see it.
 */
import type { Command, Reply } from '../../../src/grammar/command.ts';
import type { RunEnd } from '../../../src/machines/coordinator/leading.ts';
import { DESIRED, PLAN } from '../../../src/machines/coordinator/view.ts';
import {
  clients_in,
  RESULTS,
  type Desired,
  type Head,
  type MemberShare,
  type SwarmPlan,
} from '../../../src/machines/store/documents.ts';
import { read_plan } from '../../../src/machines/store/readers.ts';
import { targets_of, type Steered } from '../../../src/swarm/plan/intent.ts';
import { advance, awaited, piece_at } from '../../../src/swarm/plan/load-play.ts';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';
import type { GroupSpec } from '../../../src/swarm/plan/run-spec.ts';
import { REPLY_MS, sum_of, type FakeCrew } from './crew.ts';
import type { Write } from './history.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** A frozen agent that was written off has closed everything so long after it woke: a look at the clock, and what a crew takes. */
const FENCED_WITHIN_MS = 600;
/** What was stored so short a time before the engine lost its memory may be known to nobody who is left and was not cut off. */
const UNKNOWN_MS = 10_000;
/** Of what a process counted before it crashed so much is lost at most, unless it was in trouble so short a time before. */
const LOST_MS = 2000;
const CALM_MS = 3000;
/** What agents report after that is true again. */
const REPORTED_MS = 10_000;

export interface Asked {
  readonly desk: string;
  readonly command: Command;
  /** of its session: each try has the same, so more than one is a fault */
  readonly seqs: Set<number>;
  reply: Reply | null;
  /** the engine forgot it, and so did all who are left */
  is_lost: boolean;
}

export class Truth {
  readonly crews: FakeCrew[] = [];
  readonly asked: Asked[] = [];
  plan: SwarmPlan | null = null;
  desired: Desired | null = null;
  /** who planned each slot of the rated action */
  readonly slots = new Map<number, string>();
  /** when the run time was 0 */
  run_started = 0;
  is_settled = false;
  readonly #world: World;
  readonly #wrong: string[] = [];
  /** of each group, and of all (''): the largest target in force since less could be running than the target */
  readonly #ceilings = new Map<string, number>();
  readonly #groups: readonly GroupSpec[];
  #life = 0;
  #seeded_at = -Infinity;
  readonly #writers = new Map<number, string>();
  readonly #troubled_until = new Map<Process | null, number>();
  readonly #woke_at = new Map<Process, number>();
  readonly #written_off = new Set<string>();
  /** by session and number: when it was applied */
  readonly #applied = new Map<string, number>();
  readonly #results = new Map<string, { seq: number; ok: number }>();

  constructor(world: World, groups: readonly GroupSpec[]) {
    this.#world = world;
    this.#groups = groups;
    world.engine.history.on_write((write) => this.#on_write(write));
  }

  /** @throws with the first thing that is wrong */
  check(): void {
    if (this.#wrong.length > 0) throw new Error(this.#wrong[0]);
  }

  /** The slot of the rated action was planned by an incarnation: nobody else may have, and nobody may again. */
  made_slot(slot: number, by: string): void {
    const owner = this.slots.get(slot);
    if (owner !== undefined) this.#fail(`slot ${slot} is of ${owner} and of ${by}`);
    this.slots.set(slot, by);
  }

  crews_of(process: Process): FakeCrew[] {
    return this.crews.filter((crew) => crew.process === process && !crew.is_closed);
  }

  /** Clients of all crews, but for those that the plan gave up. */
  get held(): number {
    return this.held_of('');
  }

  /** of one group; of all: '' */
  held_of(group: string): number {
    const of_crew = (crew: FakeCrew): number => (group === '' ? crew.live : (crew.held[group] ?? 0));
    return this.crews.reduce((all, crew) => all + (this.#written_off.has(crew.incarnation) ? 0 : of_crew(crew)), 0);
  }

  changed(crew: FakeCrew, before: Readonly<Record<string, number>>): void {
    const grown = Object.keys(crew.held).filter((group) => crew.held[group]! > (before[group] ?? 0));
    if (grown.length === 0) return;
    const { incarnation } = crew;
    if (this.#written_off.has(incarnation)) {
      // it may not know yet; see #write_off for how long
      return;
    }
    for (const group of [...grown, ...(crew.live > sum_of(before) ? [''] : [])]) {
      const [held, most] = [this.held_of(group), this.#ceilings.get(group) ?? 0];
      if (held > most)
        this.#fail(`${held} of group '${group}' are held, ${crew.agent} grew to ${crew.live}: more than ${most}`);
    }
    this.#check_held(crew);
  }

  woke(process: Process): void {
    this.#woke_at.set(process, this.#world.now);
  }

  /** A process, or null: every one, cannot tell the engine what it counts for so long. */
  troubled(process: Process | null, ms: number): void {
    this.#troubled_until.set(process, Math.max(this.#troubled_until.get(process) ?? 0, this.#world.now + ms));
  }

  crash(crew: FakeCrew): void {
    const { process, ok, incarnation } = crew;
    const until = Math.max(...[process, null].map((one) => this.#troubled_until.get(one) ?? 0));
    const lost = ok - (this.#results.get(incarnation)?.ok ?? 0);
    const is_reliable = this.#world.faults.request_lost === 0 && this.#world.now > until + CALM_MS;
    const most = (sum_of(crew.account().ids_wanted) * LOST_MS) / REPLY_MS;
    if (is_reliable && lost > most)
      this.#fail(`${incarnation} crashes, and ${lost} replies are lost: more than ${most}`);
    crew.crash();
  }

  check_end({ summary }: RunEnd): void {
    const ok = [...this.#results.values()].reduce((all, one) => all + one.ok, 0);
    const truth = this.crews.reduce((all, crew) => all + crew.ok, 0);
    this.#world.note(
      [...this.#results].map(([incarnation, { seq, ok: stored }]) => `${incarnation} ${seq} ${stored}`).join(', '),
    );
    if (summary.requests.ok > truth) this.#fail(`${summary.requests.ok} replies counted, there were ${truth}`);
    // what was told before the engine lost its memory, and nobody who is left knows, is lost
    if (summary.requests.ok !== ok && this.#life === 0)
      this.#fail(`${summary.requests.ok} replies counted, ${ok} were stored`);
    if (!summary.balanced) this.#fail('the books do not balance');
    if (summary.clients.live !== 0) this.#fail(`${summary.clients.live} clients live at the end`);
    for (const crew of this.crews) {
      const stored = this.#results.get(crew.incarnation)?.ok ?? 0;
      if (crew.process.alive && stored !== crew.ok)
        this.#fail(`${crew.incarnation} counted ${crew.ok}, stored were ${stored}`);
      if (stored > crew.ok) this.#fail(`${crew.incarnation} counted ${crew.ok}, stored were even ${stored}`);
    }
    this.check();
  }

  check_commands(): void {
    for (const { desk, command, seqs, reply, is_lost } of this.asked) {
      if (is_lost) continue;
      const times = [...seqs].filter((seq) => this.#applied.has(`${desk} ${seq}`)).length;
      const what = `${JSON.stringify(command)} of ${desk}, answered ${JSON.stringify(reply)}, was applied ${times} times`;
      if (seqs.size > 1) this.#fail(`${what}: tried as ${[...seqs].join(', ')}`);
      if (!reply || (!reply.ok && reply.code === 'unknown')) continue;
      if (reply.ok ? times !== 1 : times !== 0) this.#fail(what);
    }
    this.check();
  }

  /** The plan is stored, as far as is known. */
  get is_seeded(): boolean {
    return this.#life === this.#world.engine.history.wipes.length;
  }

  get #is_reporting(): boolean {
    return this.#world.now < this.#seeded_at + REPORTED_MS;
  }

  #fail(text: string): void {
    this.#world.note(`WRONG: ${text}`);
    this.#wrong.push(`at ${this.#world.now}: ${text}`);
  }

  #on_write(write: Write): void {
    if (write.text === null) return;
    if (write.key === PLAN) this.#on_plan(read_plan(write.text) as SwarmPlan, write);
    else if (write.key === DESIRED) this.#on_desired(JSON.parse(write.text) as Desired, write);
    else if (write.key.startsWith(RESULTS)) this.#on_results(write.key.split('.')[2]!, JSON.parse(write.text) as Head);
  }

  #on_plan(plan: SwarmPlan, { by, life, replaces, at }: Write): void {
    const old = this.plan;
    const is_seed = life !== this.#life;
    this.#note_plan(plan, by);
    if (old === null) this.run_started = at;
    this.plan = plan;
    if (is_seed) {
      this.#life = life;
      this.#seeded_at = at;
    }
    const writer = this.#writers.get(plan.term);
    if (writer !== undefined && writer !== by) this.#fail(`term ${plan.term} is of ${writer} and of ${by}`);
    this.#writers.set(plan.term, by);
    if (old && plan.term < old.term) this.#fail(`term ${plan.term} after ${old.term}`);
    if (old && !is_seed && plan.revision !== old.revision + 1)
      this.#fail(`plan ${plan.revision} after ${old.revision}`);
    if (old && is_seed && plan.revision <= old.revision)
      this.#fail(`plan ${plan.revision} seeded after ${old.revision}`);
    if (is_seed && replaces !== 0) this.#fail('a seed in place of something');
    this.#check_may(plan, old, is_seed);
    this.#check_ids(plan, old, is_seed);
    this.#check_departed(plan);
    for (const crew of this.crews) {
      if (crew.live === 0 || this.#written_off.has(crew.incarnation) || this.#is_reporting) continue;
      this.#check_held(crew);
    }
  }

  /** It holds no more of each group than the plan says. */
  #check_held({ agent, incarnation, held }: FakeCrew): void {
    if (this.#is_reporting) return;
    const entry = this.plan?.members[agent];
    for (const [group, clients] of Object.entries(held)) {
      const may = entry?.incarnation === incarnation ? (entry.groups[group]?.may ?? 0) : 0;
      if (clients > may)
        this.#fail(
          `${incarnation} holds ${clients} of ${group}, but plan ${this.plan?.revision} says it may hold ${may}`,
        );
    }
  }

  #check_may(plan: SwarmPlan, old: SwarmPlan | null, is_seed: boolean): void {
    // a step may be over in the middle of somebody's ramp; agents play by themselves what is ahead
    const piece = piece_at(plan, this.#groups, plan.run_ms);
    const wanted = [targets_of(plan, this.#groups), piece.targets, ...plan.ahead];
    for (const [n, clients] of plan.ahead.entries())
      for (const [g, { name }] of this.#groups.entries()) {
        const dealt = total(Object.values(plan.members).map(({ groups }) => groups[name]?.at?.[n] ?? 0));
        if (dealt > clients[g]!) this.#fail(`${dealt} of ${name} are dealt where ${clients[g]} will be wanted`);
      }
    for (const [g, group] of [...this.#groups.map(({ name }) => name), ''].entries()) {
      const target = Math.max(...wanted.map((clients) => clients[g] ?? total(clients)));
      const may = all_may(plan, group);
      const before = old ? all_may(old, group) : 0;
      const most = Math.max(target, all_ahead(plan, group));
      // who may have ten of this group, and later ten of that one, never has twenty
      const is_exact = group !== '' || plan.ahead.length === 0;
      if (is_exact && may > Math.max(most, before) && !is_seed && !this.#is_reporting)
        this.#fail(`may of group '${group}' rises from ${before} to ${may}, the target is ${target}`);
      const ceiling = this.#ceilings.get(group) ?? 0;
      this.#ceilings.set(group, may <= most && !this.#is_reporting ? target : Math.max(ceiling, target));
    }
  }

  #check_ids(plan: SwarmPlan, old: SwarmPlan | null, is_seed: boolean): void {
    for (const { name } of this.#groups) this.#check_ids_of(name, plan, is_seed ? null : old);
  }

  #check_ids_of(group: string, plan: SwarmPlan, old: SwarmPlan | null): void {
    const { next, free } = plan.ids[group] ?? { next: 1, free: [] };
    const owners = new Map<number, string>();
    const claim = (ranges: readonly IdRange[], who: string): void => {
      for (const [first, last, step] of ranges) {
        for (let id = first; id <= last; id += step) {
          if (id >= next) this.#fail(`id ${id} of ${who} is not dealt yet`);
          if (owners.has(id)) this.#fail(`id ${id} is of ${owners.get(id)} and of ${who} (plan ${plan.revision})`);
          owners.set(id, who);
        }
      }
    };
    const ids_of = ({ groups }: MemberShare): readonly IdRange[] => groups[group]?.ids ?? [];
    for (const [agent, entry] of Object.entries(plan.members)) claim(ids_of(entry), agent);
    claim(free, 'nobody');
    for (const [agent, entry] of Object.entries(plan.members)) {
      const before = old?.members[agent];
      if (before?.incarnation !== entry.incarnation) continue;
      const [texts, now, then] = [
        [entry, before].map((one) => JSON.stringify(ids_of(one))),
        ids_of(entry),
        ids_of(before),
      ];
      if (texts[0] === texts[1]) continue;
      const all = expand(now);
      if (expand(then).some((id, i) => all[i] !== id)) this.#fail(`${agent} had ids ${texts[1]}, now ${texts[0]}`);
    }
  }

  #check_departed(plan: SwarmPlan): void {
    for (const { agent, incarnation, attested, open } of plan.departed) {
      if (this.#written_off.has(incarnation)) continue;
      this.#written_off.add(incarnation);
      const crew = this.crews.find((one) => one.incarnation === incarnation);
      if (!crew || crew.live === 0) continue;
      if (attested) this.#fail(`the death of ${incarnation} was attested, but it holds ${crew.live}`);
      const is_evicted = this.desired?.evicted.includes(`${agent}.${incarnation}`) === true;
      const is_up =
        !crew.process.asleep && this.#world.now > (this.#woke_at.get(crew.process) ?? -Infinity) + FENCED_WITHIN_MS;
      if (!is_evicted && is_up)
        this.#fail(`${agent} (${incarnation}) was written off, but it is awake and holds ${crew.live}`);
      if (open < crew.live) this.#fail(`${incarnation} was written off with ${open} open, it holds ${crew.live}`);
      if (!is_evicted) this.#expect_fence(crew);
    }
  }

  /** One that was frozen when it was written off closes everything as soon as it wakes. */
  #expect_fence(crew: FakeCrew): void {
    let awake_since: number | null = null;
    const look = (): void => {
      const { process } = crew;
      if (!process.alive || crew.live === 0) return;
      awake_since = process.asleep ? null : (awake_since ?? this.#world.now);
      if (awake_since !== null && this.#world.now > awake_since + FENCED_WITHIN_MS)
        return this.#fail(`${crew.incarnation} was written off, and holds ${crew.live} yet`);
      this.#world.schedule(50, null, look);
    };
    look();
  }

  #on_desired(desired: Desired, { life, by, at }: Write): void {
    const old = this.desired;
    this.desired = desired;
    this.#world.note(`${by} writes desired ${desired.seq}: target ${desired.target} ${desired.phase}`);
    if (!old || life !== this.#desired_life) {
      if (old) this.#forget_lost(desired, at);
      this.#desired_life = life;
      return;
    }
    const before = old.load === null ? old : advance(old, this.#groups, desired.load!.step_ms);
    if (desired.seq !== old.seq + 1) this.#fail(`desired ${desired.seq} after ${old.seq}`);
    const news = Object.entries(desired.sessions).filter(([session, { seq }]) => seq !== old.sessions[session]?.seq);
    if (news.length === 0 && awaited(before) !== null) {
      const is_over = desired.load!.step > before.load!.step || desired.load!.failed !== null;
      if (!is_over || desired.load!.number !== before.load!.number) this.#fail('a wait goes on that was decided');
      return;
    }
    if (news.length !== 1) return this.#fail(`desired ${desired.seq} carries out ${news.length} commands`);
    const [session, { seq }] = news[0]!;
    const key = `${session} ${seq}`;
    if (this.#applied.has(key)) this.#fail(`command ${key} was applied twice`);
    this.#applied.set(key, at);
    const command = this.asked.find((one) => one.desk === session && one.seqs.has(seq))?.command;
    if (!command) return this.#fail(`nobody asked for command ${key}`);
    const wrong = wrong_after(command, before, desired, this.#groups);
    if (wrong !== null) this.#fail(`${wrong} after ${JSON.stringify(command)}`);
  }

  #desired_life = 0;

  /** The engine lost its memory, and so did who wrote it anew: of the last moments only. */
  #forget_lost(desired: Desired, now: number): void {
    const wiped = this.#world.engine.history.wipes.at(-1) ?? now;
    for (const [key, at] of this.#applied) {
      const [session, seq] = key.split(' ') as [string, string];
      if ((desired.sessions[session]?.seq ?? 0) >= Number(seq)) continue;
      const asked = this.asked.find((one) => one.desk === session && one.seqs.has(Number(seq)));
      if (asked?.reply?.ok && at < wiped - UNKNOWN_MS)
        this.#fail(`command ${key} of ${at} was lost with the memory of the engine`);
      if (asked) asked.is_lost = true;
      this.#applied.delete(key);
    }
  }

  #on_results(incarnation: string, { seq, snapshot, dead }: Head): void {
    const ok = ok_of(snapshot) + (dead ? ok_of(dead.snapshot) : 0);
    const known = this.#results.get(incarnation);
    if (!known || known.seq < seq) this.#results.set(incarnation, { seq, ok });
    else if (known.seq > seq && this.#world.engine.history.wipes.length === 0)
      this.#fail(`results ${seq} of ${incarnation} after ${known.seq}`);
  }

  #note_plan({ term, revision, stage, phase, target, members }: SwarmPlan, by: string): void {
    const shares = Object.values(members).flatMap(({ incarnation, groups }) =>
      Object.entries(groups).map(
        ([group, { share, ramp, may }]) =>
          `${incarnation} ${group} ${share} ${ramp.from === ramp.to ? '' : `${ramp.from}→`}${ramp.to}≤${may}`,
      ),
    );
    this.#world.note(`${by} plans ${term}/${revision}: ${stage} ${phase} target ${target}: ${shares.join(', ')}`);
  }
}

const ok_of = ({ groups }: Head['snapshot']): number =>
  Object.values(groups).reduce((all, { requests }) => all + requests.ok, 0);

/** of one group; of all: '' */
const all_may = ({ members }: SwarmPlan, group: string): number =>
  Object.values(members).reduce(
    (all, entry) => all + (group === '' ? clients_in(entry, ({ may }) => may) : (entry.groups[group]?.may ?? 0)),
    0,
  );

/** What all could have of what is ahead, each at its own time; of one group, or of all: '' */
const all_ahead = ({ members }: SwarmPlan, group: string): number =>
  total(
    Object.values(members).flatMap(({ groups }) =>
      Object.entries(groups).map(([name, { at = [] }]) => (group === '' || group === name ? Math.max(0, ...at) : 0)),
    ),
  );

const expand = (ranges: readonly IdRange[]): number[] => {
  const ids: number[] = [];
  for (const [first, last, step] of ranges) for (let id = first; id <= last; id += step) ids.push(id);
  return ids;
};

const total = (clients: readonly number[]): number => clients.reduce((all, one) => all + one, 0);

/** What is not as the command says; null: all is. */
function wrong_after(command: Command, before: Steered, after: Steered, groups: readonly GroupSpec[]): string | null {
  const [had, has] = [targets_of(before, groups), targets_of(after, groups)];
  const says = (wanted: readonly number[]): string | null =>
    wanted.join() === has.join() ? null : `targets ${has.join()}, not ${wanted.join()}`;
  switch (command.op) {
    case 'incr':
    case 'decr':
    case 'set': {
      const { op, count, in: group } = command;
      const aimed = (n: number): number => (op === 'set' ? count : Math.max(0, op === 'incr' ? n + count : n - count));
      if (group !== undefined) return says(had.map((n, g) => (groups[g]!.name === group ? aimed(n) : n)));
      if (op !== 'set') return after.target === aimed(before.target) ? null : `target ${after.target}`;
      return total(has) === count && Object.keys(after.own).length === 0 ? null : `target ${total(has)}`;
    }
    case 'load': {
      const is_begun = after.load?.text === command.text && after.load.number === (before.load?.number ?? 0) + 1;
      return is_begun ? null : `load ${after.load?.number}`;
    }
    case 'load_end':
      return after.ramp === null ? null : 'a ramp';
    default:
      return says(had);
  }
}
