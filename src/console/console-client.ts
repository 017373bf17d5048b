/** A console session held by a program: it types lines over TCP and reads the answers, as a user would. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';

const CONNECT_WITHIN_MS = 30_000;
/** A swarm of many machines may write for 10 s and then wait for acknowledgements, and this machine may be busy. */
const ANSWER_WITHIN_MS = 60_000;
/** Far more lines than the longest list of a console. */
const MAX_LINES = 10_000;

export class ConsoleClient {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const text = new PassThrough();
    socket.on('data', (bytes: Buffer) => text.write(without_telnet(bytes)));
    socket.on('close', () => text.end());
    this.#lines = createInterface({ input: text, crlfDelay: Infinity })[Symbol.asyncIterator]();
  }

  static async open({ host, port }: { host: string; port: number }): Promise<ConsoleClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
    // what breaks later shows as the end of the lines
    socket.on('error', () => undefined);
    return new ConsoleClient(socket);
  }

  /**
   * Sends one command. Resolves with the lines of its answer: `OK …` or `ERR …`, and the n lines after `OK <n>`.
   * Rejects when the console closes the session or does not answer within `deadline_ms`, 60 s by default.
   */
  async ask(line: string, deadline_ms = ANSWER_WITHIN_MS): Promise<string[]> {
    const timer = setTimeout(() => this.close(), deadline_ms);
    try {
      this.#socket.write(`${line}\r\n`);
      // skips the banner: none of its lines begins so
      let first = await this.#next(line);
      while (!/^(OK|ERR)\b/.test(first)) first = await this.#next(line);
      const answer = [first];
      const count = Math.min(Number(/^OK (\d+)$/.exec(first)?.[1] ?? 0), MAX_LINES);
      while (answer.length <= count) answer.push(await this.#next(line));
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(asked: string): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`the console closed the session instead of answering "${asked}"`);
    return line.value;
  }
}

/**
 * Drops telnet's three-byte commands (RFC 854). The server offers its options once; a client that never answers gets
 * plain lines.
 */
const without_telnet = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.filter((_, i) => bytes[i] !== 255 && bytes[i - 1] !== 255 && bytes[i - 2] !== 255));
