/** The slots of all rated actions of one group in one process. */
import type { GroupRecorder } from '../../metrics/recorder.ts';
import type { DropReason } from '../../metrics/snapshot.ts';
import type { ProtocolModule } from '../../protocols/module.ts';
import type { Action } from '../../script/types.ts';
import { SlotQueue } from '../load/slot-queue.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { GroupShare, Orders, RateOrders } from '../plan/orders.ts';
import type { How } from '../plan/run-spec.ts';
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
}

export class GroupSlots {
  /** of the rated actions, in their order; without `messages` one for all of them */
  readonly desks: readonly Dispatcher[];
  readonly #rated: readonly QueuedAction[];
  readonly #turns: SlotTurns;

  constructor({ actions, how, recorder, module, turns }: GroupSlotsOptions) {
    this.#turns = turns;
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
    return this.#rated.flatMap(({ queue }) => queue.accounts());
  }

  /** Carries out orders; undefined: there are none, and no slot is its own. */
  follow(rates: GroupShare['rates'], phase: Orders['phase']): void {
    if (this.#rated.length === 0) return;
    for (const { index, queue } of this.#rated) queue.follow(rates?.[index] ?? NOTHING);
    for (const desk of this.desks) desk.dropping = DROPPING[phase];
    this.#turns.make();
    this.#turns.go_on();
  }
}
