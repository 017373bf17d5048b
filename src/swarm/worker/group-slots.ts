/** The slots of one group in one process: of all rated actions, and of clients that arrive. */
import type { GroupRecorder } from '../../metrics/recorder.ts';
import type { DropReason } from '../../metrics/snapshot.ts';
import type { ProtocolModule } from '../../protocols/module.ts';
import type { Action } from '../../script/types.ts';
import { SlotQueue } from '../load/slot-queue.ts';
import type { TenureAccount } from '../plan/account.ts';
import { ARRIVALS, type GroupShare, type Orders, type RateOrders } from '../plan/orders.ts';
import type { How } from '../plan/run-spec.ts';
import { ArrivalSlots } from './arrival-slots.ts';
import type { Dispatcher, QueuedAction } from './dispatcher.ts';
import type { SlotTurns } from './slot-turns.ts';

const NOTHING: RateOrders = { pieces: [], tenures: [] };

/** What becomes of slots that are due. */
const DROPPING: Record<Orders['phase'], DropReason | null> = {
  run: null,
  pause: 'paused',
  drain: 'stopped',
  stop: 'stopped',
};

interface GroupSlotsOptions {
  /** all of the group, by index */
  readonly actions: readonly Action[];
  readonly how: How;
  readonly recorder: GroupRecorder;
  readonly module: ProtocolModule;
  readonly turns: SlotTurns;
  /** Makes a client that arrives. False: there is no room, or no id. */
  arrive(): boolean;
}

export class GroupSlots {
  /** of the rated actions, in their order; without `messages` one for all of them */
  readonly desks: readonly Dispatcher[];
  readonly #rated: readonly QueuedAction[];
  /** null: no client ever arrived */
  #arrivals: ArrivalSlots | null = null;
  readonly #options: GroupSlotsOptions;

  constructor(options: GroupSlotsOptions) {
    const { actions, how, recorder, module, turns } = options;
    this.#options = options;
    this.#rated = actions.flatMap(({ index, rate }) => {
      if (rate === null) return [];
      const slots = recorder.actions[index]!.rated();
      const give_up_us = (rate.give_up_ms ?? how.reply_timeout_ms) * 1000;
      return [{ index, recorder: slots, queue: new SlotQueue(slots, give_up_us, how.max_backlog) }];
    });
    const shared = module.messages === undefined;
    const lists = shared && this.#rated.length > 0 ? [this.#rated] : this.#rated.map((one) => [one]);
    this.desks = lists.map((list) => turns.dispatcher(list));
  }

  /** How far it is with each. */
  get tenures(): readonly TenureAccount[] {
    return [...this.#rated.flatMap(({ queue }) => queue.accounts()), ...(this.#arrivals?.tenures ?? [])];
  }

  /** Carries out orders; undefined: there are none, and no slot is its own. */
  follow(rates: GroupShare['rates'], phase: Orders['phase']): void {
    const arrivals = (this.#arrivals ??= rates?.[ARRIVALS] ? this.#make_arrivals() : null);
    if (this.#rated.length === 0 && arrivals === null) return;
    for (const { index, queue } of this.#rated) queue.follow(rates?.[index] ?? NOTHING);
    arrivals?.follow(rates?.[ARRIVALS] ?? NOTHING);
    for (const source of [...this.desks, ...(arrivals ? [arrivals] : [])]) source.dropping = DROPPING[phase];
    this.#options.turns.make();
    this.#options.turns.go_on();
  }

  #make_arrivals(): ArrivalSlots {
    const { recorder, how, turns } = this.#options;
    const { max_backlog } = how;
    const begin = (): boolean => this.#options.arrive();
    const arrivals = new ArrivalSlots({ recorder: recorder.arriving(), max_backlog, zero_ms: turns.zero_ms, begin });
    turns.add(arrivals);
    return arrivals;
  }
}
