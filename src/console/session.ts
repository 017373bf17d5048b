/**
 * One console session: bytes of a socket become lines, lines become answers, in order. Everything it holds is bounded.
 */
import type { Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { now } from '../foundation/clock.ts';
import { reason_of } from '../foundation/errors.ts';
import { escape_text } from '../foundation/escape.ts';
import type { Reply } from '../grammar/command.ts';
import type { Request } from '../grammar/rows.ts';
import { help_lines, parse_line, type Parsed } from '../grammar/table.ts';
import type { Control } from '../swarm/plan/control.ts';
import { banner } from './banner.ts';
import { end_with } from './farewell.ts';
import { Intake } from './intake.ts';
import { LinePace } from './pace.ts';
import { answer, is_command, list, reply_line, wait_for } from './questions.ts';
import type { ConsoleLog, Kind, RareLog } from './rare-log.ts';
import { introduction, is_tls } from './strangers.ts';
import { Terminal } from './terminal.ts';
import type { Token } from './token.ts';
import { Tracing } from './tracing.ts';

/** lines that may wait for their answer. With that many the socket is not read until half of them are answered */
const QUEUE_LIMIT = 1000;
/** a byte in the editor costs this many times one in a plain line */
const EDITED_COST = 32;
/** bytes of trace lines that may wait for a client that does not read; an answer waits until the one before has left */
const BACKLOG_LIMIT = 2 ** 20;
/** how long written bytes may wait to be read */
const UNREAD_MS = 30_000;
/** turns for reading what came before the banner */
const FIRST_TURNS = 100;
const IDLE_MS = 600_000;
const AUTH_MS = 5000;
const AUTH_TRIES = 3;
/** how long unfinished answers may take when the daemon ends the session */
const CLOSE_MS = 1000;
const MAX_LOGGED = 300;

/** What all sessions of a console share. */
export interface Shared {
  readonly log: ConsoleLog;
  readonly rare: RareLog;
  /** null when none is needed */
  readonly token: Token | null;
}

type Item = { line: string; parsed: Parsed } | { refuse: string };

const wire = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');

export class Session {
  readonly #socket: Socket;
  readonly #control: Control;
  readonly #shared: Shared;
  readonly #address: string;
  readonly #peer: string;
  readonly #terminal: Terminal;
  readonly #intake: Intake;
  readonly #tracing: Tracing;
  readonly #queue: Item[] = [];
  readonly #pace = new LinePace();
  readonly #idle: NodeJS.Timeout;
  readonly #deadline: NodeJS.Timeout | undefined;
  readonly #greeted: Promise<void>;
  /** resolves when the socket is closed and no command is being carried out */
  readonly closed: Promise<void>;
  #resolve_closed = (): void => {};
  /** when it last sent something or was answered, ms of {@link now} */
  idle_since = now();
  /** it has given a command, has an editor, or has shown the token */
  #is_known = false;
  #is_trusted: boolean;
  #tries = 0;
  #seen_input = false;
  /** the queue is full: nothing is read until half of it is answered */
  #is_full = false;
  #working = false;
  /** what it is carrying out */
  #busy: 'wait' | 'command' | null = null;
  #wait = new AbortController();
  /** runs while written bytes wait to be read */
  #unread: NodeJS.Timeout | undefined;
  /** called when what was written has left, or never will */
  #on_room = (): void => {};
  /** nothing more is read, after FIN, Ctrl-D or a bad line */
  #ended = false;
  /** the socket is closed; what a plain client has sent is still carried out */
  #gone = false;
  /** the socket closed without FIN: nobody waits for answers */
  #broken = false;
  #farewell: string | null = null;
  #over = false;

  /** The caller listens to `error` of the socket; `close` follows it. */
  constructor(socket: Socket, control: Control, shared: Shared) {
    this.#socket = socket;
    this.#control = control;
    this.#shared = shared;
    this.#is_trusted = shared.token === null;
    this.#address = socket.remoteAddress ?? 'unknown';
    this.#peer = `console session ${this.#address}:${socket.remotePort}`;
    this.#idle = setTimeout(() => this.#on_idle(), IDLE_MS).unref();
    if (!this.#is_trusted) {
      const expire = (): void => this.#refuse('auth_failed', `no token within ${AUTH_MS / 1000} s`);
      this.#deadline = setTimeout(expire, AUTH_MS).unref();
    }
    socket.setNoDelay(true);
    // No editor before the token: a telnet client leaves the echo to it, and so never shows the token.
    this.#terminal = new Terminal(this.#is_trusted, {
      line: (text) => this.#on_line(text),
      output: (data) => this.#write(data),
      editing: () => void this.#work(),
      interrupt: () => {
        this.#wait.abort();
        this.#tracing.stop();
      },
      end: (bad) => this.#stop_reading(bad),
    });
    this.#tracing = new Tracing(control, {
      line: (text) => this.#say([text]),
      ended: () => this.#settle(),
    });
    this.#intake = new Intake(socket, {
      slice: (bytes) => this.#on_data(bytes),
      has_room: () => !this.#is_full && !socket.writableNeedDrain,
      end: () => this.#on_end(),
    });
    socket.on('drain', () => this.#on_drain());
    this.closed = new Promise((resolve) => {
      this.#resolve_closed = resolve;
      socket.on('close', () => this.#on_close());
    });
    this.#greeted = this.#greet();
  }

  /** It has shown the token, and one is needed. */
  get is_privileged(): boolean {
    return this.#is_trusted && this.#shared.token !== null;
  }

  /** How late it makes room for others: 0 before its first command; 1 after it; 2, last, while it waits or traces. */
  get worth(): 0 | 1 | 2 {
    return this.#busy !== null || this.#tracing.is_on ? 2 : this.#is_known || this.#terminal.is_editing ? 1 : 0;
  }

  /** Lets unfinished answers end (1 s at most), says `farewell`, closes. */
  dismiss(farewell: string): Promise<void> {
    this.#farewell = farewell;
    this.#wait.abort();
    if (this.#working) setTimeout(() => this.#finish([farewell]), CLOSE_MS).unref();
    else this.#finish([farewell]);
    return this.closed;
  }

  /**
   * Reads what has come already before anything is sent. A client that was held may be gone: a byte to it would break
   * the connection, and its unread commands would be lost.
   */
  async #greet(): Promise<void> {
    for (let i = 0, quiet = 0; i < FIRST_TURNS && quiet < 2 && !this.#ended; i++) {
      const before = this.#socket.bytesRead;
      await turn();
      quiet = this.#socket.bytesRead === before && this.#intake.is_empty ? quiet + 1 : 0;
    }
    this.#terminal.greet();
    this.#write(wire(banner(!this.#is_trusted)));
  }

  #touch(): void {
    this.#idle.refresh();
    this.idle_since = now();
  }

  /** Returns what each byte costs. */
  #on_data(bytes: Buffer): number {
    if (this.#over || this.#ended) return 1;
    this.#touch();
    if (!this.#seen_input && is_tls(bytes)) this.#refuse('bad_line', 'this is not TLS');
    else this.#terminal.receive(bytes);
    this.#seen_input = true;
    return this.#terminal.is_editing ? EDITED_COST : 1;
  }

  /** The first line of a stranger closes the session before any line that came with it is carried out. */
  #on_line(line: string): void {
    if (this.#over) return;
    if (line.trim() !== '') {
      const parsed = parse_line(line);
      if (!this.#is_known && !this.#terminal.is_telnet) {
        const said = introduction(line, parsed);
        // what was typed may be the token
        if (typeof said === 'object') return this.#refuse('bad_line', said.bad, 'its first line was no command');
        // without the token nothing is carried out, and tries are counted
        this.#is_known = said === 'ours' || !this.#is_trusted;
      }
      this.#queue.push({ line, parsed });
    }
    if (this.#queue.length >= QUEUE_LIMIT) this.#is_full = true;
    void this.#work();
  }

  #on_end(): void {
    // A plain client that ends its input reads on. A telnet with an editor never half-closes: it is gone.
    if (this.#terminal.is_editing) {
      this.#terminal.close();
      this.#queue.length = 0;
      this.#wait.abort();
      this.#tracing.stop();
    }
    // Not carried out without its end: a broken connection may have cut `incr 1000` to `incr 1`.
    this.#stop_reading(this.#terminal.rest() === '' ? null : 'the last line has no end');
  }

  #on_drain(): void {
    clearTimeout(this.#unread);
    this.#unread = undefined;
    this.#on_room();
    this.#intake.go_on();
  }

  #on_close(): void {
    this.#gone = true;
    this.#broken = !this.#socket.readableEnded;
    this.#on_drain();
    this.#tracing.stop();
    if (this.#broken && (this.#busy === 'wait' || this.#terminal.is_editing)) this.#release();
    if (this.#over) this.#resolve_closed();
    else if (this.#ended) this.#settle();
  }

  /** Reads no more; closes when all that was read is answered. */
  #stop_reading(bad: string | null): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    if (bad !== null) this.#queue.push({ refuse: bad });
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#working || this.#over) return;
    this.#working = true;
    await this.#greeted;
    // A line of the same turn may be a stranger's. And a thousand pipelined commands must not hold up the rest of the
    // daemon.
    await turn();
    for (let item = this.#queue.shift(); item && !this.#over; item = this.#queue.shift()) {
      this.#say(await this.#answer(item));
      this.#touch();
      if (this.#queue.length < QUEUE_LIMIT / 2) this.#is_full = false;
      await this.#have_left(item);
      this.#intake.go_on();
    }
    this.#working = false;
    this.#settle();
  }

  /** Waits until the answer has left, and until the pace allows the next line. */
  async #have_left(item: Item): Promise<void> {
    if (!('parsed' in item)) return;
    const changes = item.parsed.ok && is_command(item.parsed.request);
    const ms = this.#gone ? 0 : this.#pace.take(changes);
    await (ms > 0 ? sleep(ms, undefined, { ref: false }) : turn());
    if (this.#socket.writableNeedDrain && !this.#over && !this.#gone)
      await new Promise<void>((resolve) => (this.#on_room = resolve));
  }

  /** Everything is answered: ends, or shows the prompt. */
  #settle(): void {
    if (this.#working || this.#over) return;
    if (this.#farewell !== null) this.#finish([this.#farewell]);
    else if (this.#ended && !this.#tracing.is_on) this.#finish([]);
    else this.#terminal.prompt();
  }

  async #answer(item: Item): Promise<readonly string[]> {
    if ('refuse' in item) {
      this.#refuse('bad_line', item.refuse);
      return [];
    }
    const { line, parsed } = item;
    try {
      if (!this.#is_trusted) return await this.#authenticate(parsed.ok ? parsed.request : null);
      if (!parsed.ok) return [reply_line(parsed)];
      return await this.#carry_out(parsed.request, line);
    } catch (error) {
      this.#shared.rare.warn('internal', `${this.#peer}: an answer failed: ${reason_of(error)}`);
      return [reply_line({ ok: false, code: 'internal', reason: reason_of(error) })];
    }
  }

  async #authenticate(request: Request | null): Promise<string[]> {
    if (request?.op === 'auth') {
      this.#deadline?.refresh();
      const is_right = await this.#shared.token?.is(request.token, this.#address);
      if (this.#over) return [];
      this.#deadline?.refresh();
      if (is_right) {
        clearTimeout(this.#deadline);
        this.#is_trusted = this.#is_known = true;
        this.#terminal.allow_editing();
        return ['OK welcome'];
      }
      if (is_right === null) this.#refuse('auth_failed', 'too many wrong tokens came from here, try again in 5 s');
    }
    this.#tries++;
    if (this.#tries < AUTH_TRIES) return ['ERR auth_needed the first command is auth TOKEN'];
    this.#refuse('auth_failed', `no token in ${AUTH_TRIES} tries`);
    return [];
  }

  async #carry_out(request: Request, line: string): Promise<readonly string[]> {
    if (is_command(request)) {
      this.#shared.log.info(`${this.#peer}: ${escape_text(line, MAX_LOGGED)}`);
      return [reply_line(await this.#do('command', this.#control.apply(request, this.#peer)))];
    }
    if (this.#broken && request.op === 'wait') this.#release();
    if (this.#gone && request.op !== 'wait' && request.op !== 'quit') return [];
    switch (request.op) {
      case 'quit':
        this.#finish(['OK bye']);
        return [];
      case 'auth':
        return ['OK welcome'];
      case 'help':
        return list(help_lines(request.name));
      case 'trace':
        return [reply_line(await this.#tracing.start(request.id, request.seconds))];
      case 'wait':
        this.#wait = new AbortController();
        if (this.#farewell !== null || this.#over) this.#wait.abort();
        return [reply_line(await this.#do('wait', wait_for(request, this.#control, this.#wait.signal)))];
      default:
        return answer(request, this.#control);
    }
  }

  async #do(what: 'wait' | 'command', reply: Promise<Reply>): Promise<Reply> {
    this.#busy = what;
    try {
      return await reply;
    } finally {
      this.#busy = null;
    }
  }

  #say(lines: readonly string[]): void {
    if (lines.length > 0 && !this.#over) this.#terminal.print(wire(lines));
  }

  /** Text goes out as UTF-8, which has no byte 255: nothing has to be escaped for telnet. */
  #write(data: string | Buffer): void {
    if (this.#over || this.#gone) return;
    if (this.#socket.writableLength > BACKLOG_LIMIT) this.#drop();
    else if (!this.#socket.write(data)) this.#unread ??= setTimeout(() => this.#drop(), UNREAD_MS).unref();
  }

  #drop(): void {
    this.#shared.rare.warn('dropped', `${this.#peer}: dropped, it does not read its answers`);
    this.#release();
    this.#socket.destroy();
  }

  #on_idle(): void {
    if (this.#working || this.#tracing.is_on) this.#idle.refresh();
    else this.#finish(['closing: nothing came for 10 minutes']);
  }

  /** Closes at once, whatever waits. `logged` goes to the log instead of `text`. */
  #refuse(code: Kind, text: string, logged = text): void {
    if (this.#over) return;
    this.#shared.rare.warn(code, `${this.#peer}: closed: ${logged}`);
    this.#finish([`ERR ${code} ${text}`]);
  }

  #finish(lines: readonly string[]): void {
    if (this.#over) return;
    this.#terminal.close();
    if (!this.#gone) end_with(this.#socket, wire(lines));
    this.#release();
  }

  #release(): void {
    this.#over = true;
    this.#queue.length = 0;
    clearTimeout(this.#idle);
    clearTimeout(this.#deadline);
    clearTimeout(this.#unread);
    this.#intake.close();
    this.#wait.abort();
    this.#tracing.stop();
    this.#terminal.close();
    this.#on_room();
    if (this.#gone) this.#resolve_closed();
  }
}
