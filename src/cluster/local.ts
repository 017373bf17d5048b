/** Coordinator and the only member in one process: documents arrive a turn later, as between processes, or at once. */
import type { Account } from '../swarm/plan/account.ts';
import type { Orders } from '../swarm/plan/orders.ts';
import { fold_accounts, Outbox } from '../swarm/plan/outbox.ts';
import type { MemberId } from '../swarm/plan/run-spec.ts';
import type { Hub, Seat } from '../swarm/plan/seam.ts';

export const at_once = (deliver: () => void): void => deliver();

/** `when`: delivers a document, by default in a turn of its own. */
export function local_pair(member: MemberId, when: typeof at_once = setImmediate): { hub: Hub; seat: Seat } {
  let is_cut = false;
  let take_orders: (orders: Orders) => void = () => {};
  let take_account: (member: MemberId, account: Account) => void = () => {};
  const later = (deliver: () => void, sent: () => void): void => {
    when(() => {
      if (!is_cut) deliver();
      sent();
    });
  };
  const orders_out = new Outbox<Orders>((orders, sent) => later(() => take_orders(orders), sent));
  const accounts_out = new Outbox<Account>(
    (account, sent) => later(() => take_account(member, account), sent),
    fold_accounts,
  );
  return {
    hub: {
      want: () => {},
      publish: (orders) => orders_out.put(orders),
      onAccount: (f) => (take_account = f),
      // a member that dies here takes the coordinator with it
      onGone: () => {},
      close: () => {
        is_cut = true;
        return Promise.resolve([]);
      },
    },
    seat: {
      onOrders: (f) => (take_orders = f),
      account: (account) => accounts_out.put(account),
      // the coordinator's process is this one: nothing can be cut
      onCut: () => {},
      close: () => {
        is_cut = true;
        return Promise.resolve();
      },
    },
  };
}
