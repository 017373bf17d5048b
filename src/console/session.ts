/** One console session: bytes of a socket to lines, lines to answers, in order. Everything it holds is bounded. */
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { reason_of } from '../foundation/errors.ts';
import { escape_text } from '../foundation/escape.ts';
import type { Control } from '../swarm/command.ts';
import { banner } from './banner.ts';
import { help_lines, parse_line, type Request } from './commands.ts';
import { end_with } from './farewell.ts';
import { answer, is_question, list, reply_line } from './questions.ts';
import { is_http, is_tls } from './strangers.ts';
import { Terminal } from './terminal.ts';

/** lines that may wait for their answer; then the socket is read no further until half of them are answered */
const QUEUE_LIMIT = 1000;
/** bytes that may wait for a client that does not read; one answer more can be on top */
const BACKLOG_LIMIT = 2 ** 20;
const IDLE_MS = 600_000;
const AUTH_MS = 5000;
const AUTH_TRIES = 3;
/** how long answers under way may take when the daemon ends the session */
const CLOSE_MS = 1000;
const MAX_TRACE_LINE = 1500;
const MAX_LOGGED = 300;

/** A logger of the daemon's: one line each. */
export interface ConsoleLog {
  info(text: string): void;
  warn(text: string): void;
}

interface SessionOptions {
  /** somebody listens to its `error`s; `close` follows them */
  readonly socket: Socket;
  readonly control: Control;
  readonly log: ConsoleLog;
  /** null: no token is needed */
  readonly is_token: ((text: string) => boolean) | null;
}

type Item = { line: string } | { refuse: string };

const wire = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');

export class Session {
  readonly #socket: Socket;
  readonly #control: Control;
  readonly #log: ConsoleLog;
  readonly #is_token: ((text: string) => boolean) | null;
  readonly #peer: string;
  readonly #terminal: Terminal;
  readonly #queue: Item[] = [];
  readonly #idle: NodeJS.Timeout;
  readonly #deadline: NodeJS.Timeout | undefined;
  /** resolves when the socket is closed */
  readonly closed: Promise<void>;
  #trusted: boolean;
  #tries = 0;
  #seen_input = false;
  #working = false;
  #wait = new AbortController();
  #trace: { stop?: () => void } | null = null;
  /** nothing more is read: FIN, Ctrl-D or a bad line */
  #ended = false;
  #farewell: string | null = null;
  #over = false;

  constructor(options: SessionOptions) {
    const { socket, control, log, is_token } = options;
    this.#socket = socket;
    this.#control = control;
    this.#log = log;
    this.#is_token = is_token;
    this.#trusted = is_token === null;
    this.#peer = `console session ${socket.remoteAddress}:${socket.remotePort}`;
    this.#idle = setTimeout(() => this.#on_idle(), IDLE_MS).unref();
    if (is_token) {
      const expire = (): void => this.#refuse('auth_failed', `no token within ${AUTH_MS / 1000} s`);
      this.#deadline = setTimeout(expire, AUTH_MS).unref();
    }
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#on_data(chunk));
    socket.on('end', () => this.#on_end());
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#release();
        resolve();
      });
    });
    // No editor before the token is given: so a telnet client, which leaves the echo to us, never shows the token.
    this.#terminal = new Terminal(this.#trusted, {
      line: (text) => this.#on_line(text),
      output: (data) => this.#write(data),
      editing: () => void this.#work(),
      interrupt: () => {
        this.#wait.abort();
        this.#stop_trace();
      },
      end: (bad) => this.#stop_reading(bad),
    });
    this.#write(wire(banner(is_token !== null)));
  }

  /** It may steer: no token is wanted, or it has shown it. */
  get is_trusted(): boolean {
    return this.#trusted;
  }

  /** Lets answers under way end (1 s at most), says `farewell`, closes. */
  dismiss(farewell: string): Promise<void> {
    this.#farewell = farewell;
    this.#wait.abort();
    if (this.#working) setTimeout(() => this.#finish([farewell]), CLOSE_MS).unref();
    else this.#finish([farewell]);
    return this.closed;
  }

  #on_data(chunk: Buffer): void {
    if (this.#over || this.#ended) return;
    this.#idle.refresh();
    if (!this.#seen_input && is_tls(chunk)) return this.#refuse('bad_line', 'this is not TLS');
    this.#seen_input = true;
    this.#terminal.receive(chunk);
  }

  /** The line of a stranger closes the session before any line of the same chunk is carried out: the work begins in a later turn. */
  #on_line(line: string): void {
    if (this.#over) return;
    if (is_http(line)) return this.#refuse('bad_line', 'this is not HTTP');
    if (line.trim() !== '') this.#queue.push({ line });
    if (this.#queue.length >= QUEUE_LIMIT) this.#socket.pause();
    void this.#work();
  }

  #on_end(): void {
    // A plain client ended its input and reads on; a telnet with an editor never half-closes: it is gone, and nobody wants the rest.
    if (this.#terminal.is_editing) {
      this.#terminal.close();
      this.#queue.length = 0;
      this.#wait.abort();
      this.#stop_trace();
    }
    // Not carried out: a connection that broke may have cut `incr 1000` to `incr 1`.
    this.#stop_reading(this.#terminal.rest() === '' ? null : 'the last line has no end');
  }

  /** After what was read before it is answered, the session closes. */
  #stop_reading(bad: string | null): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    if (bad !== null) this.#queue.push({ refuse: bad });
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#working || this.#over) return;
    this.#working = true;
    await turn();
    for (let item = this.#queue.shift(); item && !this.#over; item = this.#queue.shift()) {
      this.#say(await this.#answer(item));
      this.#idle.refresh();
      if (this.#queue.length < QUEUE_LIMIT / 2) this.#socket.resume();
      // A thousand pipelined commands must not hold up the rest of the daemon.
      await turn();
    }
    this.#working = false;
    this.#settle();
  }

  /** All is answered. */
  #settle(): void {
    if (this.#working || this.#over) return;
    if (this.#farewell !== null) this.#finish([this.#farewell]);
    else if (this.#ended && !this.#trace) this.#finish([]);
    else this.#terminal.prompt();
  }

  async #answer(item: Item): Promise<string[]> {
    if ('refuse' in item) {
      this.#refuse('bad_line', item.refuse);
      return [];
    }
    try {
      const parsed = parse_line(item.line);
      if (!this.#trusted) return this.#authenticate(parsed.ok ? parsed.request : null);
      if (!parsed.ok) return [reply_line(parsed)];
      return await this.#carry_out(parsed.request, item.line);
    } catch (error) {
      this.#log.warn(`${this.#peer}: an answer failed: ${reason_of(error)}`);
      return [reply_line({ ok: false, code: 'internal', text: reason_of(error) })];
    }
  }

  #authenticate(request: Request | null): string[] {
    if (request?.op === 'auth' && this.#is_token?.(request.token)) {
      clearTimeout(this.#deadline);
      this.#trusted = true;
      this.#terminal.allow_editing();
      return ['OK welcome'];
    }
    this.#tries++;
    if (this.#tries < AUTH_TRIES) return ['ERR auth_needed the first command is auth TOKEN'];
    this.#refuse('auth_failed', `no token in ${AUTH_TRIES} tries`);
    return [];
  }

  async #carry_out(request: Request, line: string): Promise<string[]> {
    switch (request.op) {
      case 'auth':
        return ['OK welcome'];
      case 'help':
        return list(help_lines(request.name));
      case 'quit':
        this.#finish(['OK bye']);
        return [];
      case 'trace':
        return [await this.#start_trace(request.id, request.seconds)];
      default:
        if (is_question(request)) {
          this.#wait = new AbortController();
          if (this.#farewell !== null) this.#wait.abort();
          return answer(request, this.#control, this.#wait.signal);
        }
        this.#log.info(`${this.#peer}: ${escape_text(line, MAX_LOGGED)}`);
        return [reply_line(await this.#control.apply(request))];
    }
  }

  /** One at a time: a new one replaces the old. */
  async #start_trace(id: number, seconds: number): Promise<string> {
    this.#stop_trace();
    const trace: { stop?: () => void } = {};
    this.#trace = trace;
    const reply = await this.#control.trace(id, seconds, (line) => {
      if (this.#trace !== trace) return;
      this.#say([line === null ? 'TRACE end' : `TRACE ${escape_text(line, MAX_TRACE_LINE)}`]);
      if (line !== null) return;
      this.#trace = null;
      this.#settle();
    });
    if (reply.stop) trace.stop = reply.stop;
    if (this.#trace !== trace) reply.stop?.();
    else if (!reply.ok) this.#trace = null;
    return reply_line(reply);
  }

  #stop_trace(): void {
    const trace = this.#trace;
    this.#trace = null;
    trace?.stop?.();
  }

  #say(lines: readonly string[]): void {
    if (lines.length > 0 && !this.#over) this.#terminal.print(wire(lines));
  }

  /** Text goes out as UTF-8, which has no byte 255: nothing to escape for telnet. */
  #write(data: string | Buffer): void {
    if (this.#over) return;
    if (this.#socket.writableLength > BACKLOG_LIMIT) {
      this.#log.warn(`${this.#peer}: dropped, it does not read its answers`);
      this.#release();
      this.#socket.destroy();
    } else this.#socket.write(data);
  }

  #on_idle(): void {
    if (this.#working || this.#trace) this.#idle.refresh();
    else this.#finish(['closing: nothing came for 10 minutes']);
  }

  /** Closed at once, whatever waits. */
  #refuse(code: string, text: string): void {
    this.#log.warn(`${this.#peer}: closed: ${text}`);
    this.#finish([`ERR ${code} ${text}`]);
  }

  #finish(lines: readonly string[]): void {
    if (this.#over) return;
    this.#terminal.close();
    end_with(this.#socket, wire(lines));
    this.#release();
  }

  #release(): void {
    this.#over = true;
    this.#queue.length = 0;
    clearTimeout(this.#idle);
    clearTimeout(this.#deadline);
    this.#wait.abort();
    this.#stop_trace();
    this.#terminal.close();
  }
}
