import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../patience.ts';

const DURIAN = join(import.meta.dirname, '../../examples/targets/durian.mjs');

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

interface Durian {
  child: ChildProcessByStdio<Writable, Readable, null>;
  port: number;
}

async function durian(...options: string[]): Promise<Durian> {
  const child = spawn(process.execPath, [DURIAN, '--listen', '127.0.0.1:0', '--end-with-stdin', ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  closers.push(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const port = Number(/^listening 127\.0\.0\.1:(\d+)\n$/.exec(line)?.[1]);
  return { child, port };
}

/** Its own small client: `until` waits, bounded, for what has come since it was last asked. */
class Caller {
  readonly socket: Socket;
  received = '';
  end: 'fin' | 'reset' | null = null;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    closers.push(() => void this.socket.destroy());
    this.socket.setEncoding('latin1').on('data', (data) => (this.received += String(data)));
    this.socket.on('end', () => (this.end ??= 'fin'));
    this.socket.on('error', () => (this.end = 'reset'));
  }

  async ask(request: string, replies: string): Promise<void> {
    this.socket.write(request);
    await until('all replies', () => this.received.length >= replies.length);
    expect(this.received).toBe(replies);
    this.received = '';
  }
}

describe('durian', () => {
  it('tells its options with --help', async () => {
    const child = spawn(process.execPath, [DURIAN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (data) => (out += String(data)));
    expect(await once(child, 'close')).toEqual([0, null]);
    for (const option of ['listen', 'slow', 'faulty', 'seed', 'end-with-stdin', 'help'])
      expect(out).toContain(`\n--${option} `);
  });

  it('answers each verb, lines cut and joined as they come', async () => {
    const { port } = await durian();
    const caller = new Caller(port);
    await caller.ask('heartbeat 1\r\n', 'OK heartbeat\r\n');
    await caller.ask(
      'create 1 r\r\nenter 1 r\r\nhello there\r\nleave 1 r\r\n',
      'OK create r\r\nOK enter r\r\nOK leave r\r\n',
    );
    await caller.ask('closeroom 1 r\r\nfly 1\r\n\r\n', 'OK closeroom r\r\nERR unknown fly\r\nERR unknown \r\n');
    caller.socket.write('heart');
    await caller.ask('beat 1\n', 'OK heartbeat\r\n');
  });

  it('brings a message to those who entered the room, and to nobody else', async () => {
    const { port } = await durian();
    const [anna, bert, carl] = [new Caller(port), new Caller(port), new Caller(port)];
    await anna.ask('enter a r\r\n', 'OK enter r\r\n');
    await bert.ask('enter b r\r\n', 'OK enter r\r\n');
    await carl.ask('enter c elsewhere\r\n', 'OK enter elsewhere\r\n');
    await anna.ask('say r good  morning \xff\r\n', 'OK say\r\nMSG r a good  morning ÿ\r\n'.replace('ÿ', '\xc3\xbf'));
    await bert.ask('', 'MSG r a good  morning \xc3\xbf\r\n');
    await carl.ask('say r psst\r\n', 'ERR not in room r\r\n');
    await bert.ask('closeroom b r\r\n', 'OK closeroom r\r\n');
    await anna.ask('say r anybody?\r\n', 'ERR not in room r\r\n');
    await bert.ask('enter b r\r\n', 'OK enter r\r\n');
    bert.socket.destroy();
    await anna.ask('enter a r\r\nsay r alone\r\n', 'OK enter r\r\nOK say\r\nMSG r a alone\r\n');
  });

  it('answers everything that was asked before a FIN, in order, slow as it is', async () => {
    const { port } = await durian('--slow', '50');
    const caller = new Caller(port);
    caller.socket.end('heartbeat 1\r\nenter 1 r\r\nsay r x\r\n');
    await until('its end', () => caller.end !== null);
    expect(caller.received).toBe('OK heartbeat\r\nOK enter r\r\nOK say\r\nMSG r 1 x\r\n');
    expect(caller.end).toBe('fin');
  });

  it('refuses a line over 4 KiB', async () => {
    const { port } = await durian();
    const whole = new Caller(port);
    await whole.ask(`fly${' '.repeat(4093)}\r\n`, 'ERR unknown fly\r\n');
    await whole.ask(`fly${' '.repeat(4094)}\r\n`, 'ERR line too long\r\n');
    const endless = new Caller(port);
    await endless.ask('x'.repeat(5000), 'ERR line too long\r\n');
    await until('both ends', () => whole.end === 'fin' && endless.end === 'fin');
  });

  it('drops a receiver that does not read, and goes on', async () => {
    const { port } = await durian();
    const deaf = new Caller(port);
    await deaf.ask('enter deaf r\r\n', 'OK enter r\r\n');
    deaf.socket.pause();
    const talker = new Caller(port);
    await talker.ask('enter talker r\r\n', 'OK enter r\r\n');
    const flood = `say r ${'x'.repeat(4000)}\r\n`.repeat(16);
    // a socket that is not read does not see the reset, but its own next write does
    const probe = setInterval(() => deaf.socket.write('hello\r\n'), 20);
    closers.push(() => clearInterval(probe));
    for (let i = 0; deaf.end === null && i < 2000; i++) {
      const before = talker.received.length;
      talker.socket.write(flood);
      await until('more', () => talker.received.length > before);
      talker.received = '';
    }
    expect(deaf.end).toBe('reset');
    const after = new Caller(port);
    await after.ask('heartbeat 1\r\n', 'OK heartbeat\r\n');
  });

  it('misbehaves in each of its four ways, the same way for the same seed', async () => {
    const outcomes = async (): Promise<string[]> => {
      const { port } = await durian('--faulty', '0.5', '--seed', 'x');
      const seen: string[] = [];
      for (let i = 0; i < 60; i++) {
        const caller = new Caller(port);
        caller.socket.write('heartbeat 1\r\n');
        caller.socket.end();
        await until('its end', () => caller.end !== null);
        seen.push(`${caller.received.replace(/\d+/, 'n')}${caller.end}`);
      }
      return seen;
    };
    const [first, second] = await Promise.all([outcomes(), outcomes()]);
    expect(second).toEqual(first);
    expect(new Set(first)).toEqual(new Set(['OK heartbeat\r\nfin', 'WRONG n\r\nfin', 'fin', 'reset']));
  });

  it('ends when stdin closes, and on SIGTERM', async () => {
    const [first, second] = [await durian(), await durian()];
    first.child.stdin.end();
    second.child.kill('SIGTERM');
    expect(
      await Promise.all([first, second].map(async ({ child }) => (await once(child, 'exit'))[0] as number)),
    ).toEqual([0, 0]);
  });

  it.each([
    [['--listen', 'here'], /--listen here: give host:port/],
    [['--faulty', '2'], /--faulty 2: give a number from 0 to 1/],
    [['--fast'], /--fast/],
  ])('refuses %j with exit code 2', async (options, text) => {
    const child = spawn(process.execPath, [DURIAN, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
    closers.push(() => void child.kill('SIGKILL'));
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (data) => (told += String(data)));
    expect(await once(child, 'close')).toEqual([2, null]);
    expect(told).toMatch(text);
  });
});
