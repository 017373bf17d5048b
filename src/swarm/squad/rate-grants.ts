/** Whose the slots of rated actions are, of the members of one process, and what each is ordered of them. */
import { Tenures, type Weighted } from '../load/tenures.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { WantedRates } from '../plan/intent.ts';
import type { RateOrders } from '../plan/orders.ts';
import { at_slot, slots_by, type RatePiece } from '../plan/rate-piece.ts';
import type { MemberId } from '../plan/run-spec.ts';
import type { Places } from '../plan/segment.ts';

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

export class RateGrants {
  readonly #whole: Places;
  /** by group and action */
  readonly #all = new Map<string, Tenures>();
  #last_id = 0;
  #rates: WantedRates = [];
  #ordered: WantedRates = [];
  #drawn_ms = 0;

  /** `whole`: the places of this process, see segment.ts */
  constructor(whole: Places) {
    this.#whole = whole;
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
        this.#tenures(group, action).deal(parts(group, Number(action)), run_ms);
  }

  of(group: number, member: MemberId): Record<number, RateOrders> | undefined {
    const actions = Object.entries(this.#ordered[group] ?? {});
    if (actions.length === 0) return undefined;
    return Object.fromEntries(
      actions.map(([action, pieces]) => [action, { pieces, tenures: this.#tenures(group, action).of(member) }]),
    );
  }

  /** It fires slots, or could be. */
  holds(member: MemberId): boolean {
    return [...this.#all.values()].some((tenures) => tenures.of(member).length > 0);
  }

  /** What a member says of its tenures. Returns whether orders changed. */
  heard(member: MemberId, accounts: readonly TenureAccount[]): boolean {
    if (accounts.length === 0) return false;
    return [...this.#all.values()].map((tenures) => tenures.closed(member, accounts)).includes(true);
  }

  /** A member is gone; `accounts`: the last it said of its tenures. Returns the slots that nobody made. */
  died(member: MemberId, accounts: readonly TenureAccount[], run_ms: number): LostSlots[] {
    return this.#rates.flatMap((actions, group) =>
      Object.entries(actions).map(([action, pieces]): LostSlots => {
        const due = slots_due(pieces, run_ms * 1000);
        return { group, action: Number(action), slots: this.#tenures(group, action).died(member, accounts, due) };
      }),
    );
  }

  #tenures(group: number, action: string): Tenures {
    const name = `${group} ${action}`;
    let known = this.#all.get(name);
    if (known === undefined) {
      known = new Tenures(this.#whole, () => ++this.#last_id);
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

/** How many slots were due by an instant, µs of run time. */
function slots_due(pieces: readonly RatePiece[], at_us: number): number {
  const piece = pieces.findLast(({ from_us }) => from_us <= at_us);
  return piece === undefined ? (pieces[0]?.slots ?? 0) : slots_by(piece, at_us);
}
