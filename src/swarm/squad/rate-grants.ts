/** Whose the slots of rated actions are, of the members of one process, and what each is ordered of them. */
import { nobodys, Tenures, type Weighted } from '../load/tenures.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { WantedRates } from '../plan/intent.ts';
import type { RateOrders, TenureOrders } from '../plan/orders.ts';
import { at_slot, slots_by, type RatePiece } from '../plan/rate-piece.ts';
import type { MemberId } from '../plan/run-spec.ts';
import { part_of, type Places } from '../plan/segment.ts';

/**
 * How far behind the last orders began to draw the slots of a Poisson process, ms, and how often they go on to a later
 * one: a member that starts anew draws no more than that.
 */
const DRAWN_BEFORE_MS = 60_000;
const DRAWN_EACH_MS = 30_000;

/** Slots that nobody made, as their member died. */
export interface LostSlots {
  /** position of the group, and index of the action in it */
  readonly group: number;
  readonly action: number;
  readonly slots: number;
}

/** How far the members of one process are with a stretch that they share. */
export interface StretchAccount extends Pick<TenureOrders, 'id' | 'from' | 'to' | 'first'> {
  /** the last slot that any of them has seen pass, as far as they said */
  readonly at: number;
  /** the last slot of all of it; null: it goes on */
  readonly closed: number | null;
}

/** What one process has of a rated action. */
export interface StretchesAccount {
  readonly group: number;
  readonly action: number;
  readonly stretches: readonly StretchAccount[];
  /** how many slots there were in stretches that it had, and ended */
  readonly ended: number;
}

export class RateGrants {
  /** by group and action */
  readonly #all = new Map<string, SharedStretches>();
  #last_id = 0;
  #rates: WantedRates = [];
  #ordered: WantedRates = [];
  #drawn_ms = 0;
  /** What this process has of an action's places. In one that stands alone: all of its own, from the first slot on. */
  stretches: (group: number, action: number) => readonly TenureOrders[];

  /** `whole`: the places of this process, see segment.ts */
  constructor(whole: Places) {
    const all = [{ id: 0, from: whole.from, to: whole.to, first: 1, closing: false }];
    this.stretches = () => all;
  }

  get is_empty(): boolean {
    return this.#rates.length === 0;
  }

  /**
   * `rates`: what is wanted; `parts`: the members that are up, by group and action, with the clients that each shall hold.
   * `run_ms`: ms of run time.
   */
  deal(rates: WantedRates, parts: (group: number, action: number) => readonly Weighted[], run_ms: number): void {
    this.#follow(rates, run_ms);
    for (const [group, actions] of rates.entries())
      for (const action of Object.keys(actions))
        this.#shared(group, action).deal(this.stretches(group, Number(action)), parts(group, Number(action)), run_ms);
  }

  of(group: number, member: MemberId): Record<number, RateOrders> | undefined {
    const actions = Object.entries(this.#ordered[group] ?? {});
    if (actions.length === 0) return undefined;
    return Object.fromEntries(
      actions.map(([action, pieces]) => [action, { pieces, tenures: this.#shared(group, action).of(member) }]),
    );
  }

  /** It fires slots, or could be. */
  holds(member: MemberId): boolean {
    return [...this.#all.values()].some((shared) => shared.of(member).length > 0);
  }

  /** What a member says of its tenures. Returns whether orders changed. */
  heard(member: MemberId, accounts: readonly TenureAccount[]): boolean {
    if (accounts.length === 0) return false;
    return [...this.#all.values()].map((shared) => shared.heard(member, accounts)).includes(true);
  }

  /** A member is gone; `accounts`: the last it said of its tenures. Returns the slots that nobody made. */
  died(member: MemberId, accounts: readonly TenureAccount[], run_ms: number): LostSlots[] {
    return this.#rates.flatMap((actions, group) =>
      Object.entries(actions).map(([action, pieces]): LostSlots => {
        const due = slots_due(pieces, run_ms * 1000);
        return { group, action: Number(action), slots: this.#shared(group, action).died(member, accounts, due) };
      }),
    );
  }

  /** Slots that were due by `run_ms` and that nobody planned: they were on their way from one member to another. */
  unmade(planned: (group: number, action: number) => number, run_ms: number): LostSlots[] {
    return this.#rates.flatMap((actions, group) =>
      Object.entries(actions).map(([name, pieces]): LostSlots => {
        const action = Number(name);
        const due = slots_due(pieces, run_ms * 1000);
        const own = this.stretches(group, action).reduce((all, places) => all + part_of(places, due), 0);
        return { group, action, slots: Math.max(0, own - planned(group, action)) };
      }),
    );
  }

  /** Of all rates that have begun. */
  accounts(): StretchesAccount[] {
    return this.#rates.flatMap((actions, group) =>
      Object.keys(actions).map((action) => {
        return { group, action: Number(action), ...this.#shared(group, action).account() };
      }),
    );
  }

  #shared(group: number, action: string): SharedStretches {
    const name = `${group} ${action}`;
    let known = this.#all.get(name);
    if (known === undefined) {
      known = new SharedStretches(() => ++this.#last_id);
      this.#all.set(name, known);
    }
    return known;
  }

  #follow(rates: WantedRates, run_ms: number): void {
    if (rates === this.#rates && run_ms < this.#drawn_ms + DRAWN_EACH_MS) return;
    this.#rates = rates;
    this.#drawn_ms = run_ms;
    const from_us = Math.round((run_ms - DRAWN_BEFORE_MS) * 1000);
    this.#ordered = rates.map((actions) =>
      Object.fromEntries(
        Object.entries(actions).map(([action, pieces]) => [action, pieces.map((piece) => at_slot(piece, from_us))]),
      ),
    );
  }
}

/** The stretches of places that the members share of one action. */
class SharedStretches {
  readonly #new_id: () => number;
  readonly #all = new Map<number, SharedStretch>();
  #ended = 0;

  constructor(new_id: () => number) {
    this.#new_id = new_id;
  }

  deal(ordered: readonly TenureOrders[], parts: readonly Weighted[], run_ms: number): void {
    for (const [id, shared] of this.#all) {
      if (ordered.some((one) => one.id === id)) continue;
      this.#ended += slots_of(shared);
      this.#all.delete(id);
    }
    for (const { id, from, to, first, closing } of ordered) {
      let shared = this.#all.get(id);
      if (shared === undefined) {
        const tenures = new Tenures(nobodys({ from, to }, first), this.#new_id);
        this.#all.set(id, (shared = { first, tenures, closing: false, closed: null }));
      }
      if (!closing) shared.tenures.deal(parts, run_ms);
      else if (!shared.closing) shared.tenures.close();
      shared.closing = closing;
    }
    this.#end(parts[0]?.id);
  }

  /**
   * Of stretches that are to end, each member has closed its part with a slot of its own: one of them makes what is
   * missing up to the last of these, so that all end with the same slot, and others need not have them in pieces.
   */
  #end(member: MemberId | undefined): void {
    const ending = [...this.#all.values()].filter(({ closing, closed }) => closing && closed === null);
    const lasts = ending.map(({ tenures }) => tenures.last);
    if (member === undefined || lasts.includes(null)) return;
    const last = Math.max(...lasts.map((one) => one!));
    if (ending.map(({ tenures }) => tenures.even(last, member)).includes(false)) return;
    for (const shared of ending) shared.closed = last;
  }

  of(member: MemberId): TenureOrders[] {
    return [...this.#all.values()].flatMap(({ tenures }) => tenures.of(member));
  }

  heard(member: MemberId, accounts: readonly TenureAccount[]): boolean {
    return [...this.#all.values()].map(({ tenures }) => tenures.closed(member, accounts)).includes(true);
  }

  died(member: MemberId, accounts: readonly TenureAccount[], due: number): number {
    return [...this.#all.values()].reduce((all, { tenures }) => all + tenures.died(member, accounts, due), 0);
  }

  account(): Pick<StretchesAccount, 'stretches' | 'ended'> {
    const stretches = [...this.#all].map(([id, { first, tenures, closed }]): StretchAccount => {
      return { id, ...tenures.whole, first, at: Math.max(tenures.at, first - 1), closed };
    });
    return { stretches, ended: this.#ended };
  }
}

interface SharedStretch {
  readonly first: number;
  readonly tenures: Tenures;
  closing: boolean;
  /** the last slot of all of it, once nobody makes any more */
  closed: number | null;
}

/** As far as they were made, of one that is over. */
function slots_of({ first, tenures, closed }: SharedStretch): number {
  const last = Math.max(first - 1, closed ?? tenures.at);
  return part_of(tenures.whole, last) - part_of(tenures.whole, first - 1);
}

/** How many slots were due by an instant, µs of run time. */
export function slots_due(pieces: readonly RatePiece[], at_us: number): number {
  const piece = pieces.findLast(({ from_us }) => from_us <= at_us);
  return piece === undefined ? (pieces[0]?.slots ?? 0) : slots_by(piece, at_us);
}
