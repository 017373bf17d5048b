/**
 * Bytes in, replies and messages out: cuts what a connection reads, and settles the calls that wait. It knows no
 * socket, so tests push bytes at it.
 *
 *   read ──► [held │ new bytes] ──► framer / function parser ──► the waiting call      (one reply a call)
 *                                └► messages framer ──► matchers, oldest first ──► on_message
 */
import { escape_bytes } from '../../foundation/escape.ts';
import type { GroupRecorder } from '../../metrics/recorder.ts';
import type { CloseCause } from '../../metrics/snapshot.ts';
import type { FakeClient } from '../../protocols/client.ts';
import { is_wrong_reply, type Framer, type FunctionParser, type Matcher, type Parser } from '../../protocols/parser.ts';
import { bad_need, kind_of } from './call-check.ts';
import { CallError } from './call-error.ts';

/** Most bytes nobody asked for that are kept for the next reply; older ones are dropped and counted. */
export const MAX_UNASKED = 64 * 1024;

const DROPPED = 'the server sends bytes nobody asked for: the oldest are dropped and counted (unasked_bytes)';

/** An event for `trace` and `swarm try`. `bytes` may be a view of a buffer that is overwritten after the call. */
export type Trace = (
  event: 'connect' | 'secure' | 'send' | 'reply' | 'push' | 'unread' | 'end',
  bytes: Uint8Array | null,
  text: string,
) => void;

/** The connection's side. */
export interface InboundOwner {
  /** false as soon as the connection's life is over; to be checked after each call of user code */
  readonly alive: boolean;
  readonly handle: FakeClient;
  readonly trace: Trace | null;
  /** Ends the connection: the server failed (wrong_reply, …) or, with cause `fatal`, the module has a bug. */
  fail(cause: CloseCause, code: string, error: unknown, sample?: string): void;
  /** A call settled; `reply` is what it resolved with. */
  settled(reply: unknown): void;
}

/** What all connections of a process share here. */
export interface InboundRules {
  readonly recorder: GroupRecorder;
  readonly max_reply: number;
  readonly messages: Framer<unknown> | null;
  readonly on_message: ((client: FakeClient, message: unknown) => unknown) | null;
  /** The server sends bytes that nobody asked for: warns of each text once. */
  unasked(text: string): void;
}

type Settle = (value?: unknown) => void;
let captured_resolve: Settle;
let captured_reject: Settle;
/** One executor for all promises: a closure per call would be the largest allocation of the message path. */
const capture = (resolve: Settle, reject: Settle): void => {
  captured_resolve = resolve;
  captured_reject = reject;
};

/** A call that waits for its reply. */
export class Waiter {
  next: Waiter | null = null;
  /** for function parsers: the bytes still asked for, and those consumed in earlier reads */
  need = 0;
  taken: Buffer | null = null;
  readonly deadline: number;
  readonly parser: Parser | null;
  readonly promise: Promise<unknown> = new Promise(capture);
  readonly resolve = captured_resolve;
  readonly reject = captured_reject;
  constructor(parser: Parser | null, deadline: number) {
    this.parser = parser;
    this.deadline = deadline;
  }
}

const ignore = (): void => {};

/** Rejects without ever raising unhandledRejection. */
export function reject_quietly(
  waiter: { promise: Promise<unknown>; reject: (error: unknown) => void },
  error: unknown,
): void {
  waiter.promise.then(undefined, ignore);
  waiter.reject(error);
}

export class Inbound {
  readonly #owner: InboundOwner;
  readonly #rules: InboundRules;
  /** waiting calls, oldest first; more than one only with `messages`. #last may be null while there is only one */
  #first: Waiter | null = null;
  #last: Waiter | null = null;
  /** bytes left from earlier reads: #held[#start, #end). The framer saw those before #seen and found no whole frame */
  #held: Buffer | null = null;
  #start = 0;
  #end = 0;
  #seen = 0;
  /** length of the frame at the beginning of the left bytes, 0: not known yet */
  #length = 0;
  /** bytes still to come of a frame that is discarded as it comes */
  #skip = 0;
  #busy = false;

  constructor(owner: InboundOwner, rules: InboundRules) {
    this.#owner = owner;
    this.#rules = rules;
  }

  get waiting(): boolean {
    return this.#first !== null;
  }

  /** The promise of the newest call that waits. */
  get newest(): Promise<unknown> | undefined {
    return (this.#last ?? this.#first)?.promise;
  }

  /** Bytes that were read and belong to no call and no whole message. */
  get unread(): number {
    return this.#end - this.#start + this.#skip;
  }

  /** The beginning of {@link unread}, escaped. */
  get unread_sample(): string | undefined {
    return this.#held === null ? undefined : sample_of(this.#held.subarray(this.#start, this.#end));
  }

  /** User code is being called with what was read. */
  get busy(): boolean {
    return this.#busy;
  }

  /** The deadline of the oldest waiting call; Infinity when none waits. */
  get deadline(): number {
    return this.#first === null ? Infinity : this.#first.deadline;
  }

  /** The server closed: a call that reads `until_close` settles with all that came. Returns whether there was one. */
  end(): boolean {
    const waiter = this.#first;
    const parser = waiter?.parser;
    if (!waiter || this.#rules.messages !== null || typeof parser !== 'object' || parser === null) return false;
    const { until_close, decode } = parser as Framer<unknown>;
    if (until_close !== true) return false;
    const whole = this.#held?.subarray(this.#start, this.#end) ?? Buffer.alloc(0);
    this.#held = null;
    this.#start = this.#end = 0;
    this.#trace('reply', whole);
    let value: unknown;
    try {
      // no copy needed: nothing more is read into this buffer
      if (decode === undefined) value = whole;
      else if (decode !== null) value = decode(whole, 0, whole.length);
    } catch (error) {
      this.#threw(error, whole, 0, whole.length);
      return true;
    }
    if (this.#owner.alive) this.#settle(waiter, value);
    return true;
  }

  /** Adds a call that was just sent. Bytes left from earlier reads may settle it at once. */
  add(waiter: Waiter): void {
    if (this.#first === null) this.#first = waiter;
    else this.#last = (this.#last ?? this.#first).next = waiter;
    if (typeof waiter.parser === 'function') {
      waiter.need = this.#ask(waiter.parser, null);
      if (!this.#owner.alive) return;
      if (waiter.need === 0) return this.#settle(waiter, Buffer.alloc(0));
    }
    if (this.#held !== null && !this.#busy) this.#run_held();
  }

  /** Takes what was read: `chunk[0, size)`, which is overwritten after this returns. */
  feed(chunk: Buffer, size: number): void {
    let start = 0;
    if (this.#skip > 0) {
      start = Math.min(this.#skip, size);
      this.#skip -= start;
      if (this.#skip > 0) return;
      this.#deliver(undefined, null);
      if (start === size || !this.#owner.alive) return;
    }
    if (this.#held !== null) {
      this.#hold(chunk, start, size);
      this.#run_held();
      return;
    }
    this.#seen = start;
    const left = this.#run(chunk, start, size);
    if (left < size && this.#owner.alive) {
      const seen = this.#seen - left;
      this.#hold(chunk, left, size);
      this.#seen = seen;
      this.#drop_unasked();
    }
  }

  /** Rejects every waiting call with `error` and counts it as aborted. */
  abort(error: unknown): void {
    let waiter = this.#first;
    this.#first = this.#last = null;
    const { requests } = this.#rules.recorder;
    while (waiter !== null) {
      requests.in_flight--;
      requests.aborted++;
      reject_quietly(waiter, error);
      waiter = waiter.next;
    }
    this.#trace_unread();
    this.#held = null;
  }

  /** The oldest call waited too long. */
  time_out(reply_timeout_ms: number): void {
    const waiter = this.#first!;
    this.#first = waiter.next;
    if (this.#first === null) this.#last = null;
    const { requests } = this.#rules.recorder;
    requests.in_flight--;
    requests.timeout++;
    const error = CallError.make('timeout', `no whole reply within ${reply_timeout_ms} ms`);
    this.#owner.fail('timeout', 'timeout', error);
    reject_quietly(waiter, error);
  }

  #run_held(): void {
    const held = this.#held!;
    const left = this.#run(held, this.#start, this.#end);
    if (!this.#owner.alive || this.#held === null) return;
    this.#start = left;
    if (left === this.#end) this.#held = null;
    else this.#drop_unasked();
  }

  /**
   * Appends to what is held. The buffer grows with what has come, never by what a server announces. It doubles, so that
   * a reply that drips in is copied a constant number of times; once the frame's length is known it grows no further
   * than that.
   */
  #hold(chunk: Buffer, from: number, to: number): void {
    const size = to - from;
    if (this.#held === null) {
      this.#held = Buffer.allocUnsafeSlow(Math.max(64, size));
      this.#start = this.#end = this.#seen = 0;
    } else if (this.#end + size > this.#held.length) {
      const kept = this.#end - this.#start;
      const needed = kept + size;
      const room = this.#length >= needed ? Math.min(2 * needed, this.#length) : 2 * needed;
      const target = needed > this.#held.length / 2 ? Buffer.allocUnsafeSlow(room) : this.#held;
      this.#held.copy(target, 0, this.#start, this.#end);
      this.#held = target;
      this.#seen -= this.#start;
      this.#start = 0;
      this.#end = kept;
    }
    chunk.copy(this.#held, this.#end, from, to);
    this.#end += size;
  }

  #drop_unasked(): void {
    if (this.#first !== null || this.#rules.messages !== null || this.#held === null) return;
    const over = this.#end - this.#start - MAX_UNASKED;
    if (over <= 0) return;
    this.#start += over;
    this.#seen = this.#start;
    this.#rules.recorder.requests.unasked_bytes += over;
    this.#rules.unasked(DROPPED);
  }

  /** Cuts and delivers. Returns where the remaining bytes begin. */
  #run(buffer: Buffer, start: number, end: number): number {
    this.#busy = true;
    try {
      while (start < end && this.#owner.alive) {
        const parser = this.#rules.messages ?? this.#first?.parser ?? null;
        if (parser === null) break;
        const next =
          typeof parser === 'function'
            ? this.#run_function(this.#first!, parser, buffer, start, end)
            : this.#run_framer(parser as Framer<unknown>, buffer, start, end);
        if (next < 0) break;
        start = next;
        this.#seen = start;
      }
    } finally {
      this.#busy = false;
    }
    return start;
  }

  /** One frame. Returns its end, or -1 when it is not whole or the connection failed. */
  #run_framer(framer: Framer<unknown>, buffer: Buffer, start: number, end: number): number {
    let length = this.#length;
    if (length === 0) {
      try {
        length = framer.frame(buffer, start, end, this.#seen);
      } catch (error) {
        this.#threw(error, buffer, start, end);
        return -1;
      }
      if (!this.#owner.alive) return -1;
      if (!Number.isSafeInteger(length) || length < 0) {
        this.#fail_first(
          'fatal',
          'bad_parser',
          new TypeError(`frame() returned ${kind_of(length)}: not a length in bytes`),
        );
        return -1;
      }
      if (length > this.#rules.max_reply || (length === 0 && end - start > this.#rules.max_reply)) {
        const size = length === 0 ? `more than ${end - start}` : length;
        const text = `a reply of ${size} bytes, --max-reply is ${this.#rules.max_reply}`;
        this.#fail_first('wrong_reply', 'reply_too_large', CallError.make('reply_too_large', text), buffer, start, end);
        return -1;
      }
      if (length === 0) {
        this.#seen = end;
        return -1;
      }
    }
    if (end - start < length) {
      if (framer.decode !== null) {
        this.#length = length;
        return -1;
      }
      this.#skip = length - (end - start);
      return end;
    }
    this.#length = 0;
    const stop = start + length;
    const traced = this.#owner.trace === null ? null : buffer.subarray(start, stop);
    // without `messages` every frame is a reply; the trace shows it before the module sees it
    if (this.#rules.messages === null) this.#trace('reply', traced);
    let value: unknown;
    try {
      if (framer.decode === undefined) value = Buffer.from(buffer.subarray(start, stop));
      else if (framer.decode !== null) value = framer.decode(buffer, start, stop);
    } catch (error) {
      if (this.#rules.messages !== null) this.#trace('push', traced);
      this.#threw(error, buffer, start, stop);
      return -1;
    }
    if (this.#owner.alive) this.#deliver(value, traced);
    return stop;
  }

  #run_function(waiter: Waiter, parser: FunctionParser, buffer: Buffer, start: number, end: number): number {
    // a copy: the parser may keep it, and the shared buffer soon holds another socket's data
    const own = Buffer.from(buffer.subarray(start, end));
    let used = 0;
    while (waiter.need > 0 && used < own.length) {
      const from = used;
      used = Math.min(used + waiter.need, own.length);
      waiter.need = this.#ask(parser, own.subarray(from, used));
      if (!this.#owner.alive) return -1;
    }
    const taken = waiter.taken === null ? own.subarray(0, used) : append(waiter, own, used);
    if (taken.length > this.#rules.max_reply) {
      const text = `a reply of more than ${taken.length - 1} bytes, --max-reply is ${this.#rules.max_reply}`;
      this.#fail_first(
        'wrong_reply',
        'reply_too_large',
        CallError.make('reply_too_large', text),
        taken,
        0,
        taken.length,
      );
      return -1;
    }
    if (waiter.need > 0) {
      if (waiter.taken === null) append(waiter, own, used);
      return end;
    }
    this.#trace('reply', taken);
    this.#settle(waiter, taken);
    return start + used;
  }

  /** Asks a function parser how many bytes it needs; anything but a non-negative integer is a bug of the module. */
  #ask(parser: FunctionParser, data: Buffer | null): number {
    let need: unknown;
    try {
      need = parser(data);
    } catch (error) {
      this.#threw(error, data ?? Buffer.alloc(0), 0, data?.length ?? 0);
      return 0;
    }
    if (!this.#owner.alive) return 0;
    if (Number.isSafeInteger(need) && (need as number) >= 0) return need as number;
    this.#fail_first('fatal', 'bad_parser', new TypeError(bad_need(parser, need)));
    return 0;
  }

  /** `traced`: the message's bytes if a trace watches, else null */
  #deliver(value: unknown, traced: Uint8Array | null): void {
    if (this.#rules.messages === null) {
      if (this.#first !== null) this.#settle(this.#first, value);
      return;
    }
    let previous: Waiter | null = null;
    for (let waiter = this.#first; waiter !== null; previous = waiter, waiter = waiter.next) {
      let matched = true;
      if (waiter.parser !== null) {
        try {
          matched = (waiter.parser as Matcher).match(value);
        } catch (error) {
          this.#trace('push', traced);
          this.#unlink(waiter, previous);
          return this.#fail_waiter(waiter, error, undefined, undefined, sample_of(value));
        }
        if (!this.#owner.alive) return;
      }
      if (matched) {
        this.#trace('reply', traced);
        this.#unlink(waiter, previous);
        return this.#resolve(waiter, value);
      }
    }
    this.#trace('push', traced);
    if (this.#rules.on_message === null) return;
    try {
      const result = this.#rules.on_message(this.#owner.handle, value);
      if (result instanceof Promise) result.then(undefined, (error: unknown) => this.#module_threw(error, value));
    } catch (error) {
      this.#module_threw(error, value);
    }
  }

  #settle(waiter: Waiter, value: unknown): void {
    this.#first = this.#last = null;
    this.#resolve(waiter, value);
  }

  #resolve(waiter: Waiter, value: unknown): void {
    const { requests } = this.#rules.recorder;
    requests.in_flight--;
    requests.ok++;
    waiter.resolve(value);
    this.#owner.settled(value);
  }

  #unlink(waiter: Waiter, previous: Waiter | null): void {
    if (previous === null) this.#first = waiter.next;
    else previous.next = waiter.next;
    if (this.#last === waiter) this.#last = previous;
  }

  /** A framer, decode or parser threw. */
  #threw(error: unknown, buffer: Buffer, start: number, end: number): void {
    if (!this.#owner.alive) return;
    if (is_wrong_reply(error)) this.#fail_first('wrong_reply', 'wrong_reply', error, buffer, start, end);
    else this.#fail_first('fatal', 'fatal', error);
  }

  /** on_message threw: no call fails with it. */
  #module_threw(error: unknown, message: unknown): void {
    if (!this.#owner.alive) return;
    if (is_wrong_reply(error)) this.#owner.fail('wrong_reply', 'wrong_reply', error, sample_of(message));
    else this.#owner.fail('fatal', 'fatal', error);
  }

  #fail_first(cause: CloseCause, code: string, error: unknown, buffer?: Buffer, start = 0, end = 0): void {
    const waiter = this.#first;
    const sample = buffer === undefined ? undefined : sample_of(buffer.subarray(start, end));
    if (waiter === null) return this.#owner.fail(cause, code, error, sample);
    this.#unlink(waiter, null);
    this.#fail_waiter(waiter, error, cause, code, sample);
  }

  #fail_waiter(
    waiter: Waiter,
    error: unknown,
    cause: CloseCause = is_wrong_reply(error) ? 'wrong_reply' : 'fatal',
    code: string = cause,
    sample?: string,
  ): void {
    const { requests } = this.#rules.recorder;
    requests.in_flight--;
    if (cause === 'wrong_reply') requests.wrong++;
    else requests.aborted++;
    this.#owner.fail(cause, code, error, sample);
    reject_quietly(waiter, error);
  }

  #trace(event: 'reply' | 'push', bytes: Uint8Array | null): void {
    if (bytes !== null) this.#owner.trace?.(event, bytes, '');
  }

  #trace_unread(): void {
    if (this.#owner.trace === null || this.#held === null || this.#end === this.#start) return;
    this.#owner.trace('unread', this.#held.subarray(this.#start, this.#end), '');
  }
}

const SAMPLE_BYTES = 64;

/** The beginning of a wrong reply, escaped: of its bytes, its text, or the JSON of what it was decoded to. */
export function sample_of(reply: unknown): string | undefined {
  try {
    const shown = typeof reply === 'string' || reply instanceof Uint8Array ? reply : JSON.stringify(reply);
    if (shown === undefined) return undefined;
    const bytes = typeof shown === 'string' ? Buffer.from(shown.slice(0, SAMPLE_BYTES)) : shown;
    return escape_bytes(bytes.subarray(0, SAMPLE_BYTES), SAMPLE_BYTES);
  } catch {
    return undefined; // a value of the module that has no JSON
  }
}

/** Adds to what a function parser consumed in earlier reads. The buffer doubles, so that copying stays linear. */
function append(waiter: Waiter, own: Buffer, used: number): Buffer {
  const before = waiter.taken;
  const size = (before?.length ?? 0) + used;
  const room = before === null ? 0 : before.buffer.byteLength;
  const target = size <= room ? Buffer.from(before!.buffer, 0, size) : Buffer.from(new ArrayBuffer(2 * size), 0, size);
  if (before !== null && target.buffer !== before.buffer) before.copy(target);
  own.copy(target, size - used, 0, used);
  waiter.taken = target;
  return target;
}
