import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { start_ledger, type Ledger, type LedgerOptions } from '../ledger.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function ledger_with(options?: LedgerOptions): Promise<Ledger> {
  const ledger = await start_ledger(options);
  closers.push(() => ledger.close());
  return ledger;
}

interface Caller {
  socket: Socket;
  received: () => string;
  ended: Promise<'fin' | 'reset'>;
}

async function call(ledger: Ledger): Promise<Caller> {
  const socket = connect({ host: ledger.host, port: ledger.port, allowHalfOpen: true });
  closers.push(() => void socket.destroy());
  let received = '';
  socket.setEncoding('latin1').on('data', (data) => (received += String(data)));
  const ended = new Promise<'fin' | 'reset'>((resolve) => {
    socket.once('end', () => resolve('fin'));
    socket.once('error', () => resolve('reset'));
  });
  await once(socket, 'connect');
  return { socket, received: () => received, ended };
}

describe('ledger', () => {
  it('counts lines however they are cut, per connection and in all', async () => {
    const ledger = await ledger_with();
    const first = await call(ledger);
    const second = await call(ledger);
    first.socket.write('one 1\r\ntwo 2\r\nthr');
    await ledger.until((books) => books.requests === 2);
    first.socket.write('ee 3\r');
    first.socket.write('\n');
    second.socket.end('four\r\nnot whole');
    expect(await second.ended).toBe('fin');
    first.socket.end();
    expect(await first.ended).toBe('fin');
    expect(first.received()).toBe('OK one\r\nOK two\r\nOK three\r\n');
    expect(await ledger.settled()).toEqual({
      accepted: 2,
      open: 0,
      open_peak: 2,
      closed: { client_fin: 2, client_reset: 0, ledger: 0 },
      requests: 4,
      requests_per_connection: [3, 1],
      replies: 4,
      bytes: { received: 23 + 15, sent: 26 + 9 },
    });
  });

  it('tells a reset from a FIN, and its own closing from both', async () => {
    const ledger = await ledger_with({ reply: (line) => (line === 'reset' ? 'reset' : 'close') });
    (await call(ledger)).socket.end();
    (await call(ledger)).socket.resetAndDestroy();
    const closed = await call(ledger);
    closed.socket.write('close\r\nnever read\r\n');
    expect(await closed.ended).toBe('fin');
    closed.socket.end();
    const reset = await call(ledger);
    reset.socket.write('reset\r\n');
    expect(await reset.ended).toBe('reset');
    const books = await ledger.settled();
    expect(books.closed).toEqual({ client_fin: 1, client_reset: 1, ledger: 2 });
    expect(books.requests_per_connection).toEqual([0, 0, 1, 1]);
    expect(books.replies).toBe(0);
  });

  it('replies as the function says, and finishes a drip for who has shut its side down', async () => {
    const actions = {
      raw: { raw: Buffer.from([0, 255]) },
      drip: { drip: 'slow', every_ms: 1 },
      wrong: 'wrong',
      silent: 'silent',
    } as const;
    const ledger = await ledger_with({ reply: (line) => actions[line as keyof typeof actions] });
    const caller = await call(ledger);
    caller.socket.end('raw\r\nsilent\r\nwrong\r\ndrip\r\n');
    expect(await caller.ended).toBe('fin');
    expect(caller.received()).toBe('\x00\xffWRONG\r\nslow\r\n');
    const books = await ledger.settled();
    expect(books).toMatchObject({ requests: 4, replies: 3, bytes: { sent: 15 }, closed: { client_fin: 1 } });
  });

  it('pushes without counting a reply, and comes back on its port', async () => {
    const ledger = await ledger_with();
    const caller = await call(ledger);
    await ledger.until((books) => books.open === 1);
    ledger.connections()[0]?.push('news\r\n');
    await once(caller.socket, 'data');
    await ledger.close();
    expect(await caller.ended).toBe('fin');
    expect(await ledger.settled()).toMatchObject({ replies: 0, bytes: { sent: 6 }, closed: { ledger: 1 } });
    const again = await ledger_with({ port: ledger.port });
    expect(again.port).toBe(ledger.port);
  });

  it('settles only after those were counted who wait to be accepted', async () => {
    const ledger = await ledger_with();
    const callers = await Promise.all(Array.from({ length: 20 }, () => call(ledger)));
    for (const { socket } of callers) socket.end('last words\r\n');
    expect(await ledger.settled()).toMatchObject({ accepted: 20, requests: 20, closed: { client_fin: 20 } });
  });

  it('says in which state it waited in vain', async () => {
    const ledger = await ledger_with();
    await expect(ledger.until((books) => books.requests === 1, 10)).rejects.toThrow(
      /in vain for 10 ms: the ledger: .*"requests":0/,
    );
  });

  it('stays exact under many connections at once', async () => {
    const ledger = await ledger_with();
    const callers = await Promise.all(Array.from({ length: 200 }, () => call(ledger)));
    await ledger.until((books) => books.open === 200); // a client is connected before the server has accepted it
    for (const { socket } of callers) for (let i = 0; i < 50; i++) socket.write(`n ${i}\r\n`);
    for (const { socket } of callers) socket.end();
    const books = await ledger.settled();
    expect(books).toMatchObject({
      accepted: 200,
      open_peak: 200,
      requests: 10_000,
      replies: 10_000,
      closed: { client_fin: 200 },
    });
    expect(new Set(books.requests_per_connection)).toEqual(new Set([50]));
    await Promise.all(callers.map(({ ended }) => ended));
    expect(new Set(callers.map(({ received }) => received().length))).toEqual(new Set([50 * 6]));
  });
});
