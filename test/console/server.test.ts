import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { start_console } from '../../src/console/server.ts';
import { Client, FakeControl, test_console, type TestConsole } from './fakes.ts';

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

  it('turns the 33rd session away, and lets one in when one has left', async () => {
    const made = await open();
    const clients = Array.from({ length: 32 }, () => made.connect());
    await Promise.all(clients.map((client) => client.until((c) => c.text.includes('all commands'))));
    const late = made.connect();
    await late.ended;
    expect(late.text).toBe('ERR too_many_sessions 32 are open, quit one of them\r\n');
    clients[0]!.send('quit\n');
    await clients[0]!.ended;
    await once(clients[0]!.socket, 'close');
    await vi.waitFor(async () => {
      const next = made.connect();
      next.send('limits\n');
      await next.until((c) => c.text !== '');
      expect(next.text).toContain('Welcome');
    });
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
    made.control.reply = () => new Promise((resolve) => (acknowledge = () => resolve({ ok: true, text: 'stopping' })));
    stopping.send('stop\n');
    await vi.waitFor(() => expect([made.control.watchers.size, made.control.applied.length]).toEqual([1, 1]));
    const closed = made.close();
    acknowledge();
    await closed;
    const farewell = 'the swarm has ended, good bye';
    expect(idle.answers).toEqual([farewell]);
    expect(waiting.answers).toEqual(['ERR interrupted the wait was given up', farewell]);
    expect(stopping.answers).toEqual(['OK stopping', farewell]);
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
  /** Time for an answer that must not come. */
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  };

  it('holds who comes: the banner and the answers come when it opens', async () => {
    const { door, control, connect } = await start();
    const [silent, asking, gone] = [await connect(), await connect(), await connect()];
    asking.send('incr 3\n');
    gone.socket.destroy();
    await turns();
    expect([silent.text, asking.text, control.applied]).toEqual(['', '', []]);
    door.open(control);
    await silent.until((c) => c.text.includes('all commands'));
    await expect(asking.lines(1)).resolves.toEqual(['OK did incr']);
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
    expect(asking.answers).toEqual(['OK did incr']);
    await door.close();
  });

  it('holds 32, turns the next away, and has room again when one has left', async () => {
    const { door, control, connect } = await start();
    const clients = await Promise.all(Array.from({ length: 32 }, connect));
    const late = await connect();
    await late.ended;
    expect(late.text).toBe('ERR too_many_sessions 32 are open, quit one of them\r\n');
    clients[0]!.socket.end();
    await clients[0]!.ended;
    const next = await connect();
    door.open(control);
    await next.until((c) => c.text.includes('all commands'));
    await door.close();
  });

  it('32 strangers do not keep out who has the token', async () => {
    const { door, control, connect } = await start('secret');
    const strangers = await Promise.all(Array.from({ length: 32 }, connect));
    const operator = await connect();
    operator.send('auth secret\nincr 3\n');
    await Promise.race(strangers.map((client) => client.ended));
    door.open(control);
    await expect(operator.lines(2)).resolves.toEqual(['OK welcome', 'OK did incr']);
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
      'OK did incr',
    ]);
    expect(made.control.applied).toEqual([{ op: 'incr', count: 6, over_ms: 0 }]);
    expect(client.text).toContain('auth TOKEN     -- first');
    expect(made.logged.join()).not.toContain('3cret');
  });

  it('closes after three tries', async () => {
    const made = await open('s3cret');
    const client = made.connect();
    client.send('auth\nauth x\nquit\nauth s3cret\nincr 5\n');
    await client.ended;
    expect(client.answers.at(-1)).toBe('ERR auth_failed no token in 3 tries');
    expect(client.answers).toHaveLength(3);
    expect(made.control.applied).toEqual([]);
    expect(made.logged).toHaveLength(1);
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
    await client.until((c) => c.text.includes('OK did pause'));
    expect(client.text).not.toContain('s3cret');
  });
});
