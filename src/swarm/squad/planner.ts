/** From what is wanted to orders: shares within what is safe, ids, connect rates; published when they change. */
import { planned_at, type Ramp } from '../load/pacer.ts';
import type { IdRange, MemberOrders, Orders } from '../plan/orders.ts';
import type { LiveSpec, MachineSpec, MemberId, RunSpec } from '../plan/run-spec.ts';
import type { Hub } from '../plan/seam.ts';
import { index_of, part_of } from '../plan/segment.ts';
import type { Traces } from '../plan/traces.ts';
import { allocate, grant, split_rate } from '../shares/allocate.ts';
import { Ids } from '../shares/ids.ts';
import { PortGrants } from '../shares/port-grants.ts';
import type { Members } from './members.ts';

export interface PlannerOptions {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  /** of all members together, at first */
  readonly connect_per_s: number;
}

export class Planner {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  phase: Orders['phase'] = 'run';
  live: LiveSpec = { shared: null, setup_by: null, teardown_by: null, retry_fatal: 0 };
  /** of all members together; each has its part in its GroupShare */
  connect_per_s: number;
  graceful = false;
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
  #target = 0;
  #planned = 0;
  #ramp: Ramp | null = null;
  /** the entries of the last orders as text: equal ones are not published again */
  #ordered = '';
  #is_withholding = false;

  constructor(hub: Hub, members: Members, traces: Traces, { run, machine, connect_per_s }: PlannerOptions) {
    this.#hub = hub;
    this.#members = members;
    this.#traces = traces;
    this.run = run;
    this.machine = machine;
    this.connect_per_s = connect_per_s;
    this.#ports = new PortGrants(run.where, machine);
  }

  /** of the whole swarm, other segments included */
  get whole_target(): number {
    return this.#target;
  }

  get target(): number {
    return part_of(this.machine.segment, this.#target);
  }

  get planned(): number {
    return part_of(this.machine.segment, this.#planned);
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

  /** Sets a new target of the whole swarm, reached in `over_ms` from what is planned now. Replaces an earlier ramp. */
  aim(target: number, over_ms: number, now: number): void {
    this.step(now);
    this.#target = target;
    this.#ramp = over_ms > 0 ? { from: this.#planned, to: target, start_ms: now, end_ms: now + over_ms } : null;
    this.step(now);
    if (!this.#ramp) this.#planned = target;
  }

  /** Moves along the ramp; the caller replans. False without a ramp. */
  step(now: number): boolean {
    if (!this.#ramp) return false;
    this.#planned = planned_at(this.#ramp, now);
    if (now >= this.#ramp.end_ms) this.#ramp = null;
    return true;
  }

  /** Sets what is wanted now and at the end of a ramp that the caller follows. Replaces an earlier ramp. */
  hold(planned: number, target: number): void {
    this.#planned = planned;
    this.#target = target;
    this.#ramp = null;
  }

  /** Fatal clients start anew. */
  retry_fatal(): void {
    this.live = { ...this.live, retry_fatal: this.live.retry_fatal + 1 };
  }

  /** Works out the orders of now and publishes them if they differ from the last ones, with `anyway` in any case. */
  replan(anyway: boolean): void {
    const entries = this.#entries();
    const ordered = JSON.stringify(entries);
    if (ordered === this.#ordered && !anyway) return;
    this.#ordered = ordered;
    const revision = ++this.revision;
    for (const [id, entry] of Object.entries(entries)) {
      this.#members.get(id)!.outstanding.add(revision, entry.groups.main.clients);
    }
    const { phase, run, machine, live } = this;
    this.#hub.publish({ revision, phase, run, machine, live, members: entries });
  }

  #entries(): Record<MemberId, MemberOrders> {
    const members = this.#members.all;
    const granted = this.#share();
    const rate_parts = granted.filter((clients) => clients > 0).length;
    const rates = split_rate(this.connect_per_s, rate_parts);
    const entries: Record<MemberId, MemberOrders> = {};
    for (const [i, { id, account }] of members.entries()) {
      if (!account) continue;
      const clients = granted[i]!;
      const connect_per_s = clients > 0 ? rates.pop()! : 0;
      const [ids, ports] = [this.to_ids(this.ids.of(id)), this.#ports.of(id)];
      const main = { clients, ids, ports, connect_per_s, rate_parts, graceful: this.graceful };
      entries[id] = { incarnation: account.incarnation, groups: { main }, traces: this.#traces.of(id) };
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
