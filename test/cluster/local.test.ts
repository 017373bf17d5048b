import { describe, expect, it } from 'vitest';
import { local_pair } from '../../src/cluster/local.ts';
import type { Account, Note } from '../../src/swarm/plan/account.ts';
import type { Orders } from '../../src/swarm/plan/orders.ts';
import { fold_accounts } from '../../src/swarm/plan/outbox.ts';

const orders = (revision: number): Orders => ({ revision }) as Orders;
const account = (seq: number, notes: Note[] = [], traces: Account['traces'] = []): Account =>
  ({ seq, notes, notes_dropped: 0, traces }) as unknown as Account;
const note = (text: string): Note => ({ level: 'info', text });
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('local pair', () => {
  it('delivers in a later turn, of what waits only the newest', async () => {
    const { hub, seat } = local_pair('w1');
    const orders_out: number[] = [];
    const accounts: [string, number][] = [];
    seat.onOrders(({ revision }) => orders_out.push(revision));
    hub.onAccount((member, { seq }) => accounts.push([member, seq]));
    for (let i = 1; i <= 5; i++) {
      hub.publish(orders(i));
      seat.account(account(i));
    }
    expect([orders_out, accounts]).toEqual([[], []]);
    await turns();
    expect([orders_out, accounts]).toEqual([
      [1, 5],
      [
        ['w1', 1],
        ['w1', 5],
      ],
    ]);
  });

  it('delivers nothing once the hub is closed', async () => {
    const { hub, seat } = local_pair('w1');
    const seen: string[] = [];
    seat.onOrders(() => seen.push('plan'));
    hub.publish(orders(1));
    expect(await hub.close(100)).toEqual([]);
    await turns();
    expect(seen).toEqual([]);
  });

  it('a seat that closed hears and says nothing', async () => {
    const { hub, seat } = local_pair('w1');
    const seen: unknown[] = [];
    seat.onOrders((orders) => seen.push(orders));
    hub.onAccount((_, account) => seen.push(account));
    await seat.close();
    hub.publish(orders(1));
    seat.account(account(1));
    await turns();
    expect(seen).toEqual([]);
  });
});

describe('fold_accounts', () => {
  it('keeps the numbers of the newer, notes and trace lines of both', () => {
    const older = account(1, [note('a')], [{ token: 't', lines: ['1'] }]);
    const newer = account(
      2,
      [note('b')],
      [
        { token: 't', lines: ['2'] },
        { token: 'u', lines: ['3'] },
      ],
    );
    expect(fold_accounts(older, newer)).toMatchObject({
      seq: 2,
      notes: [note('a'), note('b')],
      traces: [
        { token: 't', lines: ['1', '2'] },
        { token: 'u', lines: ['3'] },
      ],
    });
  });

  it('stays bounded however long nothing leaves', () => {
    let waiting = account(0);
    for (let i = 1; i <= 100; i++)
      waiting = fold_accounts(waiting, account(i, [note('x')], [{ token: 't', lines: Array<string>(10).fill('l') }]));
    expect(waiting.notes).toHaveLength(50);
    expect(waiting.traces[0]!.lines).toHaveLength(200);
  });
});
