/** From what is wanted to orders: shares within what is safe, ids, connect rates; published when they change. */
import type { Clock } from '../../foundation/clock.ts';
import type { Weighted } from '../load/tenures.ts';
import type { TenureAccount } from '../plan/account.ts';
import { NOTHING_WANTED, type Wanted } from '../plan/intent.ts';
import { place_of } from '../plan/numbering.ts';
import { ARRIVALS, type GroupShare, type IdRange, type MemberOrders, type Orders } from '../plan/orders.ts';
import { to_machine_ms } from '../plan/permit.ts';
import type { LiveSpec, MachineSpec, MemberId, RunSpec } from '../plan/run-spec.ts';
import type { Hub } from '../plan/seam.ts';
import type { Traces } from '../plan/traces.ts';
import { split_rate } from '../shares/allocate.ts';
import { Ids } from '../shares/ids.ts';
import { PortGrants } from '../shares/port-grants.ts';
import { grant_groups, share_groups, type GroupTarget, type Matrix } from '../shares/share-groups.ts';
import { most_of, share_arrivals, type ArrivalShares } from './arrival-shares.ts';
import type { Members } from './members.ts';
import { RateGrants, type LostSlots, type StretchesAccount } from './rate-grants.ts';

export class Planner {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  live: Omit<LiveSpec, 'retry_fatal'> = {
    shared: null,
    setup_by: null,
    teardown_by: null,
    zero_ms: to_machine_ms(0),
  };
  /** of the orders published last, 0 before the first */
  revision = 0;
  /** of each group: numbers dealt to the members, for its clients here or for what {@link to_indices} makes of them */
  readonly #dealt: readonly Ids[];
  /** Maps dealt numbers to the indices of clients in a group. While `dealt` grows as `Ids.of` does, so must the result. */
  to_indices: (group: number, dealt: readonly IdRange[]) => readonly IdRange[] = (_, dealt) => dealt;
  readonly #ports: PortGrants;
  readonly #rates: RateGrants;
  readonly #hub: Hub;
  readonly #members: Members;
  readonly #traces: Traces;
  readonly #clock: Pick<Clock, 'now'>;
  #wanted_at: (now: number) => Wanted = () => NOTHING_WANTED;
  #wanted = NOTHING_WANTED;
  /** the entries of the last orders as text: equal ones are not published again */
  #ordered = '';
  #is_withholding = false;
  /** by group: of clients that arrive; empty: none do */
  #arrivals: readonly (readonly ArrivalShares[])[] = [];

  constructor(
    hub: Hub,
    members: Members,
    traces: Traces,
    run: RunSpec,
    machine: MachineSpec,
    clock: Pick<Clock, 'now'>,
  ) {
    this.#hub = hub;
    this.#members = members;
    this.#traces = traces;
    this.run = run;
    this.machine = machine;
    const { groups } = run.what;
    this.#dealt = groups.map(() => new Ids());
    this.#ports = new PortGrants(run.where, machine, groups);
    this.#rates = new RateGrants(machine.segment);
    this.#clock = clock;
  }

  get phase(): Orders['phase'] {
    return this.#wanted.phase;
  }

  /** clients at the end of a ramp */
  get target(): number {
    return this.#wanted.groups.reduce((all, { target }) => all + target, 0);
  }

  /** clients now */
  get planned(): number {
    return this.#wanted.groups.reduce((all, { planned }) => all + planned, 0);
  }

  /** of all members together */
  get connect_per_s(): number {
    return this.#wanted.connect_per_s;
  }

  get is_ending(): boolean {
    return this.phase === 'drain' || this.phase === 'stop';
  }

  /** A part of the shares could not be ordered yet, as other members could still be running too much. */
  get is_withholding(): boolean {
    return this.#is_withholding;
  }

  /** how many numbers were dealt of each group, in their order */
  get dealt(): readonly number[] {
    return this.#dealt.map(({ highest }) => highest);
  }

  /** Which member owns a client, by its id in the whole swarm. Not for an agent, whose numbers are no indices. */
  owner(id: number): MemberId | null {
    const place = place_of(this.run.what.groups, this.machine.segment, id);
    return place && this.owner_of(place.group, place.index);
  }

  /** Which member was dealt this number of a group. */
  owner_of(group: number, dealt: number): MemberId | null {
    return this.#dealt[group]!.owner(dealt);
  }

  /** Takes a member's ids and ports back, to be granted to others. Its process must be dead. */
  release(member: MemberId): void {
    for (const ids of this.#dealt) ids.release(member);
    this.#ports.release(member);
  }

  /** From now on this is wanted, at each moment. The caller replans. */
  follow(wanted_at: (now: number) => Wanted, now: number): void {
    this.#wanted_at = wanted_at;
    this.#wanted = wanted_at(now);
  }

  /** Moves along a ramp; the caller replans. False: nothing else is planned than before. */
  step(now: number): boolean {
    const { planned } = this;
    const { rates } = this.#wanted;
    this.#wanted = this.#wanted_at(now);
    return this.planned !== planned || this.#wanted.rates !== rates;
  }

  /** the most clients that may arrive now or soon, beside the target; Infinity: as many as fit */
  get arriving(): number {
    return this.#wanted.rates.reduce((all, actions) => {
      const coming = (actions[ARRIVALS] ?? []).filter(({ from_rate, to_rate }) => from_rate > 0 || to_rate > 0);
      return all + Math.max(0, ...coming.map(({ at_most = Infinity }) => at_most));
    }, 0);
  }

  get has_rates(): boolean {
    return !this.#rates.is_empty;
  }

  /** See {@link RateGrants.stretches}. */
  set stretches(of: RateGrants['stretches']) {
    this.#rates.stretches = of;
  }

  /** How far the members are with their slots, together. */
  get slots(): readonly StretchesAccount[] {
    return this.#rates.accounts();
  }

  /** What a member says of its slots. Returns whether the caller shall replan. */
  heard(member: MemberId, tenures: readonly TenureAccount[]): boolean {
    return this.#rates.heard(member, tenures);
  }

  /** A member is gone: others go on with its slots. Returns those that nobody made. */
  slots_lost(member: MemberId, tenures: readonly TenureAccount[]): LostSlots[] {
    return this.#rates.died(member, tenures, this.#run_ms);
  }

  /** The run is over: slots that were due and that nobody planned. `planned`: by group and action. */
  slots_unmade(planned: (group: number, action: number) => number): LostSlots[] {
    return this.#rates.unmade(planned, this.#run_ms);
  }

  /** It fires slots, or could be. */
  holds_slots(member: MemberId): boolean {
    return this.#rates.holds(member);
  }

  /** ms of run time */
  get #run_ms(): number {
    return to_machine_ms(this.#clock.now()) - this.live.zero_ms;
  }

  /** Works out the orders of now and publishes them if they differ from the last ones, with `anyway` in any case. */
  replan(anyway: boolean): void {
    const entries = this.#entries();
    const ordered = JSON.stringify(entries);
    if (ordered === this.#ordered && !anyway) return;
    this.#ordered = ordered;
    const revision = ++this.revision;
    for (const [id, entry] of Object.entries(entries)) {
      const { parts } = this.#members.get(id)!;
      for (const [g, { name }] of this.run.what.groups.entries()) {
        parts[g]!.outstanding.add(revision, entry.groups[name]!.clients);
        const arrivals = entry.groups[name]!.rates?.[ARRIVALS]?.pieces ?? [];
        parts[g]!.arrivals.add(revision, Math.max(0, ...arrivals.map(({ at_most = 0 }) => at_most)));
      }
    }
    const { phase, retry_fatal } = this.#wanted;
    const { run, machine } = this;
    this.#hub.publish({ revision, phase, run, machine, live: { ...this.live, retry_fatal }, members: entries });
  }

  #entries(): Record<MemberId, MemberOrders> {
    const members = this.#members.all;
    const granted = this.#share();
    const { connect_per_s: rate, graceful } = this.#wanted;
    const most = this.#arrivals.map((shares) => most_of(shares, this.#run_ms * 1000, members.length));
    const connects = (g: number, i: number): boolean =>
      granted[g]![i]! > 0 || most[g]![i]! > 0 || members[i]!.arrived(this.run.what.groups[g]!.name) > 0;
    const holds = members.map((_, i) => granted.some((_, g) => connects(g, i)));
    const rate_parts = holds.filter(Boolean).length;
    const rates = split_rate(rate, rate_parts);
    const weights = (of: readonly number[]): Weighted[] =>
      members.flatMap(({ id, account, wanted }, i) => (account && wanted ? [{ id, weight: of[i]! }] : []));
    const capacities = members.map(({ capacity }) => capacity);
    this.#rates.deal(
      this.#wanted.rates,
      (g, action) => {
        if (action === ARRIVALS) return weights(most[g]!);
        return weights(granted[g]!.some((clients) => clients > 0) ? granted[g]! : capacities);
      },
      this.#run_ms,
    );
    const entries: Record<MemberId, MemberOrders> = {};
    for (const [i, { id, account }] of members.entries()) {
      if (!account) continue;
      const own = holds[i] ? rates.pop()! : 0;
      const group_rates = split_rate(own, granted.filter((_, g) => connects(g, i)).length);
      const groups: Record<string, GroupShare> = {};
      for (const [g, { name }] of this.run.what.groups.entries()) {
        const clients = granted[g]![i]!;
        const connect_per_s = connects(g, i) ? group_rates.pop()! : 0;
        const [ids, ports] = [this.#indices_of(g, id), this.#ports.of(id, g)];
        const slots = this.#slots_of(g, i, id);
        groups[name] = { clients, ids, ports, connect_per_s, rate_parts, graceful, ...(slots && { rates: slots }) };
      }
      entries[id] = { incarnation: account.incarnation, groups, traces: this.#traces.of(id) };
    }
    return entries;
  }

  #slots_of(group: number, position: number, member: MemberId): GroupShare['rates'] {
    const slots = this.#rates.of(group, member);
    const arrivals = slots?.[ARRIVALS];
    if (arrivals === undefined) return slots;
    const shares = this.#arrivals[group]!;
    const pieces = arrivals.pieces.map((piece, k) => ({ ...piece, at_most: shares[k]!.shares[position]! }));
    return { ...slots, [ARRIVALS]: { ...arrivals, pieces } };
  }

  /** Adds those that may arrive to what members need ids for. */
  #share_arrivals(): void {
    const members = this.#members.all;
    const free = members.map(({ capacity, needs }) => Math.max(0, capacity - needs));
    this.#arrivals = this.run.what.groups.map(({ name }, g) => {
      const pieces = this.#wanted.rates[g]?.[ARRIVALS];
      if (pieces === undefined) return [];
      const holders = members.map((member, i) => {
        const may = Math.max(member.parts[g]!.arrivals.may, member.arrived(name));
        return { capacity: member.capacity, free: free[i]!, may };
      });
      const shares = share_arrivals(pieces, this.machine.segment, holders);
      const most = most_of(shares, this.#run_ms * 1000, members.length);
      for (const [i, member] of members.entries()) member.parts[g]!.needs += Math.max(most[i]!, member.arrived(name));
      return shares;
    });
  }

  #indices_of(group: number, member: MemberId): readonly IdRange[] {
    return this.to_indices(group, this.#dealt[group]!.of(member));
  }

  /** Shares out what is planned and grants ids and ports for it. Returns what may be ordered now, by group. */
  #share(): Matrix {
    const members = this.#members.all;
    const spec = this.run.what.groups;
    const aims = (of: 'planned' | 'target'): GroupTarget[] =>
      spec.map(({ share }, g) => ({ target: this.#wanted.groups[g]?.[of] ?? 0, share }));
    const planned = aims('planned');
    const holders = members.map(({ capacity }) => ({ capacity, weight: 1 }));
    const held = spec.map((_, g) => members.map(({ parts }) => parts[g]!.share));
    const shares = share_groups(planned, held, holders);
    // ids for the end of the ramp already, as its steps would break them into small ranges
    const at_end = share_groups(aims('target'), shares, holders);
    for (const [i, { parts }] of members.entries())
      for (const [g, part] of parts.entries()) {
        part.share = shares[g]![i]!;
        part.needs = Math.max(part.share, at_end[g]![i]!);
      }
    this.#share_arrivals();
    const { expected } = this.#members;
    for (const [g, ids] of this.#dealt.entries())
      ids.ensure(expected.map(({ id, parts }) => ({ id, count: parts[g]!.needs })));
    this.#ports.ensure(
      this.target,
      expected.flatMap(({ id, parts }) =>
        parts.map(({ needs }, group) => ({ id, group, clients: needs, ids: this.#indices_of(group, id) })),
      ),
    );
    // a share whose member has no process waits for one
    const wanted = shares.map((row) => row.map((share, i) => (members[i]!.account ? share : 0)));
    const may = spec.map((_, g) => members.map(({ parts }) => parts[g]!.outstanding.may));
    const granted = grant_groups(planned, wanted, may, holders);
    this.#is_withholding = granted.some((row, g) => row.some((clients, i) => clients < wanted[g]![i]!));
    return granted;
  }
}
