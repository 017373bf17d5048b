/** Orders and accounts over the IPC channel of a fork. Never throws; at most one document waits on each side. */
import type { ChildProcess } from 'node:child_process';
import { counters_of, histograms_of, Packer } from '../metrics/packed.ts';
import type { AccountMessage } from '../swarm/plan/account-shape.ts';
import type { Account } from '../swarm/plan/account.ts';
import type { Orders } from '../swarm/plan/orders.ts';
import { fold_accounts, Outbox } from '../swarm/plan/outbox.ts';
import type { MemberId } from '../swarm/plan/run-spec.ts';
import type { Seat } from '../swarm/plan/seam.ts';

/** The coordinator's end of one channel. `child` was forked with `serialization: 'advanced'`. */
export function orders_outbox(child: ChildProcess, member: MemberId): { put(orders: Orders): void } {
  const outbox = new Outbox<Orders>((orders, sent) => {
    // `connected` turns false before the exit is known; a failed send calls back with an error, which the exit explains
    if (child.connected) child.send(orders, sent);
    else setImmediate(sent);
  });
  return {
    put(orders) {
      const entry = orders.members[member];
      // only its own entry; before its hello it has none
      if (entry) outbox.put({ ...orders, members: { [member]: entry } });
    },
  };
}

/** The last message down: the member shall end. Disconnecting instead hangs while an account is half read (Node 20). */
const GOODBYE = { goodbye: true } as const;

export function say_goodbye(child: ChildProcess): void {
  // a channel that breaks meanwhile says the same
  if (child.connected) child.send(GOODBYE, () => {});
}

/**
 * Until when the member may go on. Many may queue before a frozen one: each names a time, so old ones grant nothing.
 */
interface PermitMessage {
  readonly permit: number;
}

export function send_permit(child: ChildProcess, until_machine_ms: number): void {
  if (child.connected) child.send({ permit: until_machine_ms } satisfies PermitMessage, () => {});
}

const REFRESH = { refresh: true } as const;

/** Asks the member for an account now. */
export function send_refresh(child: ChildProcess): void {
  if (child.connected) child.send(REFRESH, () => {});
}

/** Bytes of an account's histograms: room for twenty-five actions of any latencies. More actions get coarser ones. */
const MAX_PACKED = 512 * 1024;

/** Makes of each account what is sent: counters, and the histograms that changed since the last account. */
export class AccountWriter {
  readonly #packer = new Packer(MAX_PACKED);
  #sent: ReadonlyMap<number, Uint8Array> = new Map();

  message_of({ snapshot, ...rest }: Account): AccountMessage<Uint8Array> {
    const all = this.#packer.pack(histograms_of(snapshot).entries());
    const packed = new Map([...all].filter(([number, bytes]) => this.#sent.get(number) !== bytes));
    this.#sent = all;
    return { ...rest, counters: counters_of(snapshot), packed };
  }
}

/** The member's end, in the forked process. */
export function fork_seat(): Seat {
  const writer = new AccountWriter();
  const outbox = new Outbox<Account>((account, sent) => {
    if (process.connected && process.send) process.send(writer.message_of(account), undefined, undefined, () => sent());
    else setImmediate(sent);
  }, fold_accounts);
  const is_goodbye = (message: object): boolean => 'goodbye' in message;
  const is_permit = (message: object): message is PermitMessage => 'permit' in message;
  const is_refresh = (message: object): boolean => 'refresh' in message;
  return {
    onOrders: (f) =>
      void process.on(
        'message',
        (orders: Orders) => is_goodbye(orders) || is_permit(orders) || is_refresh(orders) || f(orders),
      ),
    onPermit: (f) => void process.on('message', (message: object) => is_permit(message) && f(message.permit)),
    onRefresh: (f) => void process.on('message', (message: object) => is_refresh(message) && f()),
    account: (account) => outbox.put(account),
    onCut(f) {
      let is_cut = false;
      const cut = (): void => {
        if (!is_cut) f();
        is_cut = true;
      };
      process.once('disconnect', cut);
      process.on('message', (message: object) => is_goodbye(message) && cut());
    },
    async close() {
      // Disconnecting in the turn of a send, in a message handler, crashes the process (Node 20): empty the channel
      // first.
      do await new Promise((resolve) => setImmediate(resolve));
      while (!outbox.is_empty);
      if (process.connected) process.disconnect();
    },
  };
}
