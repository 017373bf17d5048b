/** From what is wanted to orders: shares within what is safe, ids, connect rates; published when they change. */
import { MAIN } from '../../metrics/groups.ts';
import { NOTHING_WANTED, type Wanted } from '../plan/intent.ts';
import { clients_of, type IdRange, type MemberOrders, type Orders } from '../plan/orders.ts';
import type { LiveSpec, MachineSpec, MemberId, RunSpec } from '../plan/run-spec.ts';
import type { Hub } from '../plan/seam.ts';
import { index_of } from '../plan/segment.ts';
import type { Traces } from '../plan/traces.ts';
import { allocate, grant, split_rate } from '../shares/allocate.ts';
import { Ids } from '../shares/ids.ts';
import { PortGrants } from '../shares/port-grants.ts';
import type { Members } from './members.ts';

export class Planner {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  live: Omit<LiveSpec, 'retry_fatal'> = { shared: null, setup_by: null, teardown_by: null };
  /** of the orders published last, 0 before the first */
  revision = 0;
  /** numbers dealt to the members: ids, or numbers that {@link to_ids} maps to ids */
  readonly ids = new Ids();
  /** Maps dealt numbers to ids. While `dealt` grows as `Ids.of` does, so must the result. */
  to_ids: (dealt: readonly IdRange[]) => readonly IdRange[] = (dealt) => dealt;
  readonly #ports: PortGrants;
  readonly #hub: Hub;
  readonly #members: Members;
  readonly #traces: Traces;
  #wanted_at: (now: number) => Wanted = () => NOTHING_WANTED;
  #wanted = NOTHING_WANTED;
  /** the entries of the last orders as text: equal ones are not published again */
  #ordered = '';
  #is_withholding = false;

  constructor(hub: Hub, members: Members, traces: Traces, run: RunSpec, machine: MachineSpec) {
    this.#hub = hub;
    this.#members = members;
    this.#traces = traces;
    this.run = run;
    this.machine = machine;
    this.#ports = new PortGrants(run.where, machine);
  }

  get phase(): Orders['phase'] {
    return this.#wanted.phase;
  }

  /** clients at the end of a ramp */
  get target(): number {
    return this.#wanted.target;
  }

  /** clients now */
  get planned(): number {
    return this.#wanted.planned;
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

  /** Which member owns a client, by its id in the whole swarm. */
  owner(id: number): MemberId | null {
    const index = index_of(this.machine.segment, id);
    return index === null ? null : this.ids.owner(index);
  }

  /** Takes a member's ids and ports back, to be granted to others. Its process must be dead. */
  release(member: MemberId): void {
    this.ids.release(member);
    this.#ports.release(member);
  }

  /** From now on this is wanted, at each moment. The caller replans. */
  follow(wanted_at: (now: number) => Wanted, now: number): void {
    this.#wanted_at = wanted_at;
    this.#wanted = wanted_at(now);
  }

  /** Moves along a ramp; the caller replans. False: nothing else is planned than before. */
  step(now: number): boolean {
    const { planned } = this.#wanted;
    this.#wanted = this.#wanted_at(now);
    return this.#wanted.planned !== planned;
  }

  /** Works out the orders of now and publishes them if they differ from the last ones, with `anyway` in any case. */
  replan(anyway: boolean): void {
    const entries = this.#entries();
    const ordered = JSON.stringify(entries);
    if (ordered === this.#ordered && !anyway) return;
    this.#ordered = ordered;
    const revision = ++this.revision;
    for (const [id, entry] of Object.entries(entries)) {
      this.#members.get(id)!.outstanding.add(revision, clients_of(entry));
    }
    const { phase, retry_fatal } = this.#wanted;
    const { run, machine } = this;
    this.#hub.publish({ revision, phase, run, machine, live: { ...this.live, retry_fatal }, members: entries });
  }

  #entries(): Record<MemberId, MemberOrders> {
    const members = this.#members.all;
    const granted = this.#share();
    const { connect_per_s: rate, graceful } = this.#wanted;
    const rate_parts = granted.filter((clients) => clients > 0).length;
    const rates = split_rate(rate, rate_parts);
    const entries: Record<MemberId, MemberOrders> = {};
    for (const [i, { id, account }] of members.entries()) {
      if (!account) continue;
      const clients = granted[i]!;
      const connect_per_s = clients > 0 ? rates.pop()! : 0;
      const [ids, ports] = [this.to_ids(this.ids.of(id)), this.#ports.of(id)];
      const groups = { [MAIN]: { clients, ids, ports, connect_per_s, rate_parts, graceful } };
      entries[id] = { incarnation: account.incarnation, groups, traces: this.#traces.of(id) };
    }
    return entries;
  }

  /** Shares out what is planned and grants ids and ports for it. Returns what may be ordered now. */
  #share(): number[] {
    const members = this.#members.all;
    const before = members.map(({ id, outstanding, share, capacity }) => {
      return { id, may: outstanding.may, held: share, capacity, weight: 1 };
    });
    const shares = allocate(this.planned, before);
    for (const [i, member] of members.entries()) member.share = shares[i]!;
    // ids for the end of the ramp already, as its steps would break them into small ranges
    const after = before.map((one, i) => ({ ...one, held: shares[i]! }));
    const at_end = allocate(this.target, after);
    for (const [i, member] of members.entries()) member.needs = Math.max(shares[i]!, at_end[i]!);
    const { expected } = this.#members;
    this.ids.ensure(expected.map(({ id, needs }) => ({ id, count: needs })));
    this.#ports.ensure(
      this.target,
      expected.map(({ id, needs }) => ({ id, clients: needs, ids: this.to_ids(this.ids.of(id)) })),
    );
    // a share whose member has no process waits for one
    const wanted = shares.map((share, i) => (members[i]!.account ? share : 0));
    const granted = grant(this.planned, wanted, after);
    this.#is_withholding = granted.some((clients, i) => clients < wanted[i]!);
    return granted;
  }
}
