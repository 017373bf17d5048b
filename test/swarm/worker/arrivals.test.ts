/** Clients that arrive at a rate in one process, on real sockets. */
import { afterEach, describe, expect, it } from 'vitest';
import { line } from '../../../src/index.ts';
import { ARRIVALS, type GroupShare, type RateOrders } from '../../../src/swarm/plan/orders.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../../ledger.ts';
import { imbalances, start_one_process, type Books, type OneProcess, type OneProcessOptions } from '../one-process.ts';
import { rate_orders, type Rates } from '../rates.ts';

let ledger: Ledger | undefined;
let engine: OneProcess | undefined;
afterEach(async () => {
  const books = await engine?.close();
  await ledger?.close();
  engine = ledger = undefined;
  if (!books) return;
  expect(imbalances(books)).toEqual([]);
  const { planned, started, live, dropped } = books.arrivals!;
  expect([live, planned]).toEqual([0, started + Object.values(dropped).reduce((all, one) => all + one, 0)]);
});

const commands: OneProcessOptions['commands'] = { go: (client) => client.send_for_reply('hi\r\n', line()) };

/** `iterations`: of each client */
async function start(
  iterations: number,
  more: Partial<OneProcessOptions> = {},
  server: LedgerOptions = {},
): Promise<OneProcess> {
  ledger = await start_ledger(server);
  const loops = { main: { commands: ['go'], iterations } };
  engine = await start_one_process({
    port: ledger.port,
    commands,
    loops,
    run: { reply_timeout_ms: 3_600_000 },
    ...more,
  });
  return engine;
}

const IDS: Pick<GroupShare, 'ids'> = { ids: [[1, 1000, 1]] };
const at_rates = (rates: Rates, at_most?: number): Partial<GroupShare> => {
  const { pieces, tenures }: RateOrders = rate_orders(rates);
  return {
    ...IDS,
    rates: {
      [ARRIVALS]: { pieces: pieces.map((one) => ({ ...one, ...(at_most !== undefined && { at_most }) })), tenures },
    },
  };
};
/** so many, within 100 ms, and no more */
const soon = (clients: number, at_most?: number): Partial<GroupShare> =>
  at_rates(
    [
      [clients * 10, 1e5],
      [0, Infinity],
    ],
    at_most,
  );
/** clients wait for their reply for ever */
const never: LedgerOptions = { reply: () => 'silent' };

const planned =
  (slots: number) =>
  (books: Books): boolean =>
    books.arrivals?.planned === slots;

describe('clients that arrive', () => {
  it('play their iterations and leave; nobody replaces them, and they keep no place', async () => {
    const e = await start(3);
    e.apply(0, 'run', soon(40));
    const { arrivals, clients } = await e.until((b) => b.clients.done === 40);
    expect(arrivals).toMatchObject({ planned: 40, started: 40, live: 0, late: { count: 40 } });
    expect(clients).toMatchObject({ created: 40, finished: 0, killed: { decr: 0 } });
    expect(ledger!.books()).toMatchObject({ accepted: 40, requests: 120 });
  });

  it('are beside the share: neither growing, shrinking nor draining touches them', async () => {
    const e = await start(1, {}, never);
    e.apply(5, 'run', soon(20));
    await e.until(planned(20));
    e.apply(8, 'run', soon(20));
    expect(e.books()).toMatchObject({ arrivals: { live: 20 }, clients: { created: 28 } });
    e.apply(2, 'run', soon(20));
    expect(e.books()).toMatchObject({ arrivals: { live: 20 }, clients: { killed: { decr: 6 } } });
    e.apply(0, 'run', { ...soon(20), graceful: true });
    expect(e.population.live).toBe(20 + e.books().clients.draining);
    expect(e.books().arrivals).toMatchObject({ live: 20, started: 20 });
  });

  it('are no more at a time than they may be; others are dropped at once', async () => {
    const e = await start(1, {}, never);
    e.apply(3, 'run', soon(30, 7));
    const { arrivals, clients } = await e.until(planned(30));
    expect(arrivals).toMatchObject({
      started: 7,
      live: 7,
      dropped: { no_room: 23, backlog: 0, stopped: 0, paused: 0 },
    });
    expect(clients.created).toBe(10);
  });

  it('are no more than fit beside what is ordered, or have ids', async () => {
    const e = await start(1, { capacity: 12 }, never);
    e.apply(5, 'run', { ...soon(30), ids: [[1, 2, 1]] });
    const first = await e.until(planned(30));
    // the share had the ids first
    expect(first).toMatchObject({ arrivals: { started: 0, dropped: { no_room: 30 } }, clients: { created: 2 } });
    await engine!.close();
    await ledger!.close();
    const other = await start(1, { capacity: 12 }, never);
    other.apply(5, 'run', { ...soon(30) });
    const { arrivals } = await other.until(planned(30));
    expect(arrivals).toMatchObject({ started: 7, dropped: { no_room: 23 } });
  });

  it('have ids of their own, and leave them to others', async () => {
    const e = await start(1, {}, never);
    e.apply(4, 'run', soon(6));
    await e.until(planned(6));
    const ids = Array.from({ length: 12 }, (_, i) => i + 1).filter((id) => e.population.client(id) !== undefined);
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('do not come in a pause, and end with the run', async () => {
    const e = await start(1, {}, never);
    e.apply(0, 'run', soon(10));
    await e.until(planned(10));
    e.apply(0, 'pause', at_rates([[100, Infinity]]));
    const { arrivals } = await e.until((b) => b.arrivals!.dropped.paused > 0);
    expect(arrivals).toMatchObject({ started: 10, live: 10 });
    e.apply(0, 'stop', at_rates([[100, Infinity]]));
    const { clients } = await e.until((b) => b.arrivals!.live === 0);
    expect(clients.killed.stop).toBe(10);
  });

  it('that a bug stopped start again when somebody says so', async () => {
    let is_broken = true;
    const go: OneProcessOptions['commands'][string] = (client) => {
      if (is_broken) throw new Error('bug');
      return client.send_for_reply('hi\r\n', line());
    };
    const e = await start(1, { commands: { go } });
    e.apply(0, 'run', soon(3));
    await e.until((b) => b.clients.states.fatal === 3);
    is_broken = false;
    e.population.retry_fatal();
    const { arrivals } = await e.until((b) => b.clients.done === 3);
    expect(arrivals!.live).toBe(0);
  });
});
