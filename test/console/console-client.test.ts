import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleClient } from '../../src/console/console-client.ts';

/** A console that says `greeting` to whoever comes and answers each line by `answer`. */
let server: Server;
let answer: (line: string, socket: Socket) => void;
const GREETING = Buffer.concat([
  Buffer.from([255, 251, 1, 255, 251, 3, 255, 253, 31]),
  Buffer.from('\rWelcome\r\nUsage:\r\n'),
]);

beforeEach(async () => {
  server = createServer((socket) => {
    socket.write(GREETING);
    socket.on('error', () => undefined);
    socket.on('data', (data) =>
      String(data)
        .match(/.+/g)!
        .forEach((line) => answer(line.trim(), socket)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close());

const open = (): Promise<ConsoleClient> =>
  ConsoleClient.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });

describe('ConsoleClient', () => {
  it('skips telnet options and banner, and takes a list as one answer', async () => {
    answer = (line, socket) =>
      socket.write(line === 'status' ? 'OK 2\r\nrun\r\nOK is no answer here\r\n' : `OK ${line}\r\n`);
    const session = await open();
    expect(await session.ask('status')).toEqual(['OK 2', 'run', 'OK is no answer here']);
    expect(await session.ask('incr 5')).toEqual(['OK incr 5']);
    session.close();
  });

  it('takes an answer in pieces, and ERR', async () => {
    answer = (_, socket) => {
      socket.write('ER');
      setImmediate(() => socket.write('R bad_command what\r\n'));
    };
    const session = await open();
    expect(await session.ask('jump')).toEqual(['ERR bad_command what']);
    session.close();
  });

  it('rejects when the console hangs up or says nothing', async () => {
    answer = (_, socket) => socket.end('OK 3\r\none\r\n');
    await expect((await open()).ask('status')).rejects.toThrow('instead of answering "status"');
    answer = () => undefined;
    await expect((await open()).ask('status', 20)).rejects.toThrow('instead of answering "status"');
  });

  it('rejects when nobody listens', async () => {
    const { port } = server.address() as AddressInfo;
    server.close();
    await expect(ConsoleClient.open({ host: '127.0.0.1', port })).rejects.toThrow('ECONNREFUSED');
  });
});
