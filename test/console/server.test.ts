import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { start_console } from '../../src/console/server.ts';
import { Client, FakeControl, marked, test_console, type TestConsole } from './fakes.ts';

const log = { info() {}, warn() {} };
const opened: TestConsole[] = [];
async function open(token?: string): Promise<TestConsole> {
  const made = await test_console(token);
  opened.push(made);
  return made;
}
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((made) => made.close()));
});

/** Time for an answer that must not come. */
async function turns<T>(then?: T): Promise<T | undefined> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  return then;
}

describe('start_console', () => {
  const start = (host: string, port: number, token?: string) => start_console({ listen: { host, port }, token, log });

  it('says that the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(start('127.0.0.1', port)).rejects.toMatchObject({ code: 'console_in_use', exit: 2 });
    other.close();
  });

  it.each(['0.0.0.0', '::', '192.0.2.1', '::ffff:0.0.0.0'])('does not listen at %s without a token', async (host) => {
    await expect(start(host, 0)).rejects.toMatchObject({ code: 'console_open', exit: 2 });
  });

  it('says why it cannot listen', async () => {
    await expect(start('192.0.2.1', 0, 'token')).rejects.toMatchObject({ code: 'console_listen', exit: 2 });
  });

  it('listens at any address with a token', async () => {
    const made = await start('0.0.0.0', 0, 'token');
    expect(made.address.host).toBe('0.0.0.0');
    await made.close();
  });

  const BANNER = (c: Client): boolean => c.text.includes('all commands');
  const ended_of = async (clients: readonly Client[]): Promise<number[]> => {
    const is_ended = await Promise.all(clients.map((c) => Promise.race([c.ended.then(() => true), turns(false)])));
    return is_ended.flatMap((is, i) => (is ? [i] : []));
  };

  it('32 idle sessions do not keep the operator out: who has said nothing goes first, then who is idle for longest', async () => {
    const made = await open();
    const clients: Client[] = [];
    for (let i = 0; i < 32; i++) {
      clients.push(made.connect());
      await clients[i]!.until(BANNER);
    }
    for (const i of [3, 1]) {
      clients[i]!.send('limits\n');
      await clients[i]!.lines(3);
    }
    clients[0]!.send('wait 500\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    const silent = clients.flatMap((_, i) => (i === 0 || i === 1 || i === 3 ? [] : [i]));
    const operators: Client[] = [];
    for (const next of [...silent, 3, 1]) {
      const operator = made.connect();
      operators.push(operator);
      await Promise.all([operator.until(BANNER), clients[next]!.ended]);
      expect(clients[next]!.answers.at(-1)).toMatch(/^ERR too_many_sessions the place .* idle for longest/);
      operator.send('limits\n');
      await operator.lines(3);
    }
    expect(await ended_of([clients[0]!, ...operators])).toEqual([]);
    operators.at(-1)!.send('stop\n');
    await expect(operators.at(-1)!.lines(4)).resolves.toContain('OK marked stop');
    await vi.waitFor(() => expect(made.logged.filter((line) => /had to go/.test(line))).toHaveLength(1));
  });

  it('thousands that connect and stay do not keep the operator out, nor their sockets open', async () => {
    const made = await open();
    const crowd: Client[] = [];
    for (let i = 0; i < 20; i++) {
      crowd.push(...Array.from({ length: 50 }, () => made.connect()));
      await Promise.all(crowd.slice(-50).map((c) => once(c.socket, 'connect').catch(() => undefined)));
    }
    const operator = made.connect();
    await operator.until(BANNER);
    operator.send('incr 3\n');
    await expect(operator.lines(1)).resolves.toEqual(['OK marked incr']);
    await vi.waitFor(() => expect(crowd.filter((c) => !c.socket.closed).length).toBeLessThan(33), { timeout: 10_000 });
  });

  it('sessions with the token stay; when they fill all places, the next is turned away', async () => {
    const made = await open('secret');
    const clients = Array.from({ length: 32 }, () => made.connect());
    for (const client of clients) {
      client.send('auth secret\n');
      await client.lines(1);
    }
    const late = made.connect();
    await late.ended;
    expect(late.text).toBe('ERR too_many_sessions 32 are open, quit one of them\r\n');
    clients[0]!.send('quit\n');
    await once(clients[0]!.socket, 'close');
    await vi.waitFor(async () => {
      const next = made.connect();
      await next.until((c) => c.text !== '');
      expect(next.text).toContain('Welcome');
    });
  });

  const elsewhere = Object.values(networkInterfaces())
    .flat()
    .find((a) => a?.family === 'IPv4' && !a.internal)?.address;
  it.runIf(elsewhere)('keeps the last place for this machine', async () => {
    const door = await start_console({ listen: { host: '0.0.0.0', port: 0 }, token: 'secret', log });
    door.open(new FakeControl());
    const from = (host: string): Client => {
      const client = new Client(door.address.port, host);
      client.send('auth secret\n');
      return client;
    };
    const remote: Client[] = [];
    for (let i = 0; i < 31; i++) {
      remote.push(from(elsewhere!));
      await remote[i]!.lines(1);
    }
    const late = from(elsewhere!);
    await late.ended;
    expect(late.text).toContain('ERR too_many_sessions');
    const operator = from('127.0.0.1');
    await expect(operator.lines(1)).resolves.toEqual(['OK welcome']);
    await door.close();
    for (const client of [...remote, late, operator]) client.socket.destroy();
  });

  it('32 strangers without the token do not keep out who has it', async () => {
    const made = await open('secret');
    const strangers = Array.from({ length: 32 }, () => made.connect());
    await Promise.all(strangers.map((client) => client.until((c) => c.text !== '')));
    const operator = made.connect();
    await operator.until((c) => c.text !== '');
    operator.send('auth secret\nincr 3\n');
    await vi.waitFor(() => expect(made.control.applied.map((c) => 'count' in c && c.count)).toEqual([3]));
    await strangers[0]!.ended;
    expect(strangers[0]!.text).toContain('ERR too_many_sessions');
  });

  it('lets all sessions steer one swarm', async () => {
    const made = await open();
    const [a, b] = [made.connect(), made.connect()];
    a.send('incr 3\n');
    b.send('incr 4\n');
    await Promise.all([a.lines(1), b.lines(1)]);
    expect(made.control.applied.map((c) => 'count' in c && c.count).sort()).toEqual([3, 4]);
  });

  it('ends sessions with a last line, after the answers under way', async () => {
    const made = await open();
    const [idle, waiting, stopping] = [made.connect(), made.connect(), made.connect()];
    await idle.until((c) => c.text.includes('all commands'));
    waiting.send('wait 500\n');
    let acknowledge = (): void => {};
    made.control.reply = () => new Promise((resolve) => (acknowledge = () => resolve(marked('stopping'))));
    stopping.send('stop\n');
    await vi.waitFor(() => expect([made.control.watchers.size, made.control.applied.length]).toEqual([1, 1]));
    const closed = made.close();
    acknowledge();
    await closed;
    const farewell = 'the swarm has ended, good bye';
    expect(idle.answers).toEqual([farewell]);
    expect(waiting.answers).toEqual(['ERR interrupted the wait was given up', farewell]);
    expect(stopping.answers).toEqual(['OK marked stopping', farewell]);
  });

  it('closes although a command is never acknowledged', async () => {
    const made = await open();
    made.control.reply = () => new Promise(() => {});
    const client = made.connect();
    client.send('stop\n');
    await vi.waitFor(() => expect(made.control.applied).toHaveLength(1));
    await made.close();
    expect(client.answers).toEqual(['the swarm has ended, good bye']);
    await expect(
      new Promise((_, reject) => connect(made.console.address.port, '127.0.0.1').on('error', reject)),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('before it is open', () => {
  const held: Client[] = [];
  const start = async (token?: string) => {
    const door = await start_console({ listen: { host: '127.0.0.1', port: 0 }, token, log });
    return { door, control: new FakeControl(), connect: () => connect_to(door.address.port) };
  };
  /** Resolves once the kernel has connected it; that the console took it in shows later. */
  async function connect_to(port: number): Promise<Client> {
    const client = new Client(port);
    held.push(client);
    await once(client.socket, 'connect');
    return client;
  }
  afterEach(() => {
    for (const client of held.splice(0)) client.socket.destroy();
  });
  it('holds who comes: the banner and the answers come when it opens', async () => {
    const { door, control, connect } = await start();
    const [silent, asking, gone] = [await connect(), await connect(), await connect()];
    asking.send('incr 3\n');
    gone.socket.destroy();
    await turns();
    expect([silent.text, asking.text, control.applied]).toEqual(['', '', []]);
    door.open(control);
    await silent.until((c) => c.text.includes('all commands'));
    await expect(asking.lines(1)).resolves.toEqual(['OK marked incr']);
    await door.close();
  });

  it('answers who has ended its input meanwhile, and lets go who ended without a word', async () => {
    const { door, control, connect } = await start();
    const [asking, silent] = [await connect(), await connect()];
    asking.socket.end('incr 3\n');
    silent.socket.end();
    await silent.ended;
    expect(silent.text).toBe('');
    door.open(control);
    await asking.ended;
    expect(asking.answers).toEqual(['OK marked incr']);
    await door.close();
  });

  it('carries out what a client sent that has closed meanwhile, whole lines and all of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1600 }), { minLength: 1, maxLength: 3 }), async (sizes) => {
        const { door, control, connect } = await start();
        const clients = await Promise.all(sizes.map(connect));
        let n = 0;
        const wanted = sizes.map((size) => Array.from({ length: size }, () => ++n));
        for (const [i, client] of clients.entries()) {
          const text = wanted[i]!.map((count) => `incr ${count}\n`).join('');
          client.send(text.slice(0, text.length / 2));
          await turns();
          client.socket.end(text.slice(text.length / 2), () => client.socket.destroy());
          await once(client.socket, 'close');
        }
        await turns();
        door.open(control);
        await vi.waitFor(() => expect(control.applied).toHaveLength(n));
        const counts = control.applied.map((c) => ('count' in c ? c.count : 0));
        for (const one of wanted) expect(counts.filter((count) => one.includes(count))).toEqual(one);
        await door.close();
      }),
      { numRuns: 10 },
    );
  });

  it('holds 32; the oldest makes room for the next', async () => {
    const { door, control, connect } = await start();
    const clients: Client[] = [];
    for (let i = 0; i < 32; i++) clients.push(await connect());
    const late = await connect();
    await clients[0]!.ended;
    expect(clients[0]!.text).toContain('ERR too_many_sessions');
    door.open(control);
    await Promise.all([...clients.slice(1), late].map((c) => c.until(() => c.text.includes('all commands'))));
    await door.close();
  });

  it('32 strangers do not keep out who has the token', async () => {
    const { door, control, connect } = await start('secret');
    const strangers = await Promise.all(Array.from({ length: 32 }, connect));
    const operator = await connect();
    operator.send('auth secret\nincr 3\n');
    await Promise.race(strangers.map((client) => client.ended));
    door.open(control);
    await expect(operator.lines(2)).resolves.toEqual(['OK welcome', 'OK marked incr']);
    expect(strangers.filter((c) => c.text.startsWith('ERR too_many_sessions'))).toHaveLength(1);
    await door.close();
  });

  it('closes those it holds, unanswered, when the swarm never began', async () => {
    const { door, control, connect } = await start();
    const [silent, asking] = [await connect(), await connect()];
    asking.send('incr 3\n');
    await turns();
    await door.close();
    await Promise.all([silent.ended, asking.ended]);
    expect([silent.text, asking.text]).toEqual(Array(2).fill('the swarm has ended, good bye\r\n'));
    expect(control.applied).toEqual([]);
  });
});

describe('token', () => {
  it('lets in who says it first, and executes nothing before', async () => {
    const made = await open('s3cret');
    const client = made.connect();
    client.send('incr 5\nauth S3cret\nAUTH s3cret\nincr 6\n');
    await expect(client.lines(4)).resolves.toEqual([
      'ERR auth_needed the first command is auth TOKEN',
      'ERR auth_needed the first command is auth TOKEN',
      'OK welcome',
      'OK marked incr',
    ]);
    expect(made.control.applied).toEqual([{ op: 'incr', count: 6, over_ms: 0 }]);
    expect(client.text).toContain('auth TOKEN     -- first');
    expect(made.logged.join()).not.toContain('3cret');
  });

  it('closes after three tries', async () => {
    const made = await open('s3cret');
    const client = made.connect();
    client.send('auth y\nauth\nquit\nauth s3cret\nincr 5\n');
    await client.ended;
    expect(client.answers.at(-1)).toBe('ERR auth_failed no token in 3 tries');
    expect(client.answers).toHaveLength(3);
    expect(made.control.applied).toEqual([]);
    expect(made.logged).toHaveLength(1);
  });

  it('closes another protocol at its first line, without telling the log what was typed: it may be the token', async () => {
    const made = await open('s3cret');
    for (const text of ['EHLO x\r\nincr 100\r\n', 's3cret\n', 'GET / HTTP/1.1\r\n\r\nauth s3cret\nincr 5\n']) {
      const client = made.connect();
      client.send(text);
      await client.ended;
      expect(client.text).toMatch(/ERR bad_line [^\n]*\r\n$/);
    }
    expect(made.control.applied).toEqual([]);
    expect(made.logged).toHaveLength(1);
    expect(made.logged.join()).not.toContain('s3cret');
  });

  it('new connections do not guess faster; the log has a line a second; the right token gets in from elsewhere', async () => {
    const made = await open('s3cret');
    const began = performance.now();
    let wrong = 0;
    while (performance.now() - began < 1500) {
      const client = made.connect();
      client.send('auth x\nauth y\nauth z\n');
      const answered = await Promise.race([client.lines(1), client.ended, turns(null)]);
      if (answered) wrong += client.answers.filter((line) => line.includes('auth_needed')).length;
      client.socket.destroy();
    }
    // at most after 0, 0.25, 0.75, 1.75 s
    expect(wrong).toBeLessThanOrEqual(4);
    expect(made.logged.length).toBeLessThan(20);
    const operator = new Client(made.console.address.port, '127.0.0.1', '127.0.0.2');
    operator.send('auth s3cret\nincr 5\n');
    await expect(operator.lines(2)).resolves.toEqual(['OK welcome', 'OK marked incr']);
    operator.socket.destroy();
  });

  it('closes after 5 seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const made = await open('s3cret');
    const client = made.connect();
    await client.until((c) => c.text.includes('all commands'));
    vi.advanceTimersByTime(5000);
    await client.ended;
    expect(client.answers).toEqual(['ERR auth_failed no token within 5 s']);
  });

  it('shows neither the token nor a prompt to a telnet client before it was given', async () => {
    const made = await open('s3cret');
    const client = made.connect();
    client.send([255, 253, 1, 255, 253, 3]);
    client.send('auth s3cret\r\0');
    await client.until((c) => c.text.includes('swarm> '));
    expect(client.text).not.toContain('s3cret');
    client.send('\x1b[A\x1b[Apause\r\0');
    await client.until((c) => c.text.includes('OK marked pause'));
    expect(client.text).not.toContain('s3cret');
  });
});
