import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { length_prefixed, line, match, reply_parser_crlf } from '../../../src/index.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { Recorder } from '../../../src/metrics/recorder.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import type { Framer, Parser } from '../../../src/protocols/parser.ts';
import { Inbound, MAX_UNASKED, Waiter, type InboundOwner } from '../../../src/swarm/client/inbound.ts';

/** Pushes bytes at an Inbound as a socket would: through one dirty buffer that is overwritten after each read. */
function world(messages: Framer<unknown> | null = null, max_reply = 1 << 20) {
  const shared = Buffer.alloc(256 * 1024, 0x2a);
  const failures: [string, string][] = [];
  const pushed: unknown[] = [];
  const owner: InboundOwner & { alive: boolean; settled_calls: number } = {
    alive: true,
    settled_calls: 0,
    handle: {} as FakeClient,
    trace: null,
    fail(cause, code) {
      failures.push([cause, code]);
      owner.alive = false;
    },
    settled: () => void owner.settled_calls++,
  };
  const recorder = new Recorder().group(MAIN, 1);
  const on_message = (_: FakeClient, message: unknown): void => void pushed.push(message);
  const inbound = new Inbound(owner, { recorder, max_reply, messages, on_message, unasked: () => {} });
  return {
    owner,
    inbound,
    recorder,
    failures,
    pushed,
    feed(bytes: Uint8Array): void {
      shared.set(bytes);
      inbound.feed(shared, bytes.length);
      shared.fill(0x2a, 0, bytes.length);
    },
    /** what a trace shows from now on */
    watch(): string[] {
      const seen: string[] = [];
      Object.assign(owner, {
        trace: (event: string, bytes: Uint8Array) => seen.push(`${event} ${Buffer.from(bytes).toString()}`),
      });
      return seen;
    },
    ask(parser: Parser | null): Promise<unknown> {
      recorder.requests.in_flight++;
      const waiter = new Waiter(parser, Infinity);
      waiter.promise.catch(() => {});
      inbound.add(waiter);
      return waiter.promise;
    },
  };
}

/** Cuts `bytes` at the given fractions. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set([0, ...cuts.map((c) => Math.floor(c * bytes.length)), bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((to, i) => bytes.subarray(at[i], to));
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
const texts = fc.array(
  fc.string({ maxLength: 30 }).map((s) => s.replace(/[\r\n]/g, '.')),
  { minLength: 1, maxLength: 12 },
);
/** the original contract, byte by byte */
const by_byte = (): ((data: Buffer | null) => number) => {
  let last = 0;
  return (data) => {
    if (data === null) return 1;
    const done = last === 13 && data[0] === 10;
    last = data[0]!;
    return done ? 0 : 1;
  };
};

describe('one reply a call', () => {
  it.each([
    ['framer', () => line() as Parser],
    ['function parser', () => by_byte() as Parser],
  ])('property: every reply arrives whole however the stream is cut: %s', async (_, parser) => {
    await fc.assert(
      fc.asyncProperty(texts, cuts, async (replies, where) => {
        const w = world();
        const got: string[] = [];
        const stream = Buffer.from(replies.map((text) => `${text}\r\n`).join(''));
        const play = (async () => {
          for (let i = 0; i < replies.length; i++) got.push(String(await w.ask(parser())).replace(/\r\n$/, ''));
        })();
        for (const piece of pieces(stream, where)) {
          w.feed(piece);
          await new Promise(setImmediate);
        }
        await play;
        expect(got).toEqual(replies);
        expect(w.failures).toEqual([]);
        expect(w.recorder.requests).toMatchObject({ ok: replies.length, in_flight: 0, unasked_bytes: 0 });
      }),
      { numRuns: 60 },
    );
  });

  it('costs linear time for a dripped reply: the framer sees each byte about once', () => {
    let looked = 0;
    const counting: Framer<Buffer> = {
      frame(buffer, start, end, seen) {
        for (let i = Math.max(start, seen - 1); i + 1 < end; i++) {
          looked++;
          if (buffer[i] === 13 && buffer[i + 1] === 10) return i + 2 - start;
        }
        return 0;
      },
    };
    const w = world();
    void w.ask(counting);
    for (let i = 0; i < 50_000; i++) w.feed(Buffer.from('x'));
    expect(w.recorder.requests.ok).toBe(0);
    w.feed(Buffer.from('\r\n'));
    expect(w.recorder.requests.ok).toBe(1);
    expect(looked).toBeLessThan(2 * 50_000);
  });

  it('does not ask the framer again once it knows the length', () => {
    let asked = 0;
    const inner = length_prefixed({ bytes: 4 });
    const framer: Framer<unknown> = { ...inner, frame: (b, s, e, seen) => (asked++, inner.frame(b, s, e, seen)) };
    const w = world();
    void w.ask(framer);
    w.feed(Buffer.from([0, 0, 3, 232]));
    for (let i = 0; i < 1000; i++) w.feed(Buffer.from([7]));
    expect(w.recorder.requests.ok).toBe(1);
    expect(asked).toBe(1);
  });

  it('what a function parser keeps is not overwritten by the next read', async () => {
    const w = world();
    const kept: Buffer[] = [];
    const reply = w.ask((data: Buffer | null) => {
      if (data === null) return 8;
      kept.push(data);
      return kept.length < 2 ? 4 : 0;
    });
    w.feed(Buffer.from('12345678'));
    w.feed(Buffer.from('abcd'));
    expect(kept.map(String)).toEqual(['12345678', 'abcd']);
    expect(String(await reply)).toBe('12345678abcd');
  });

  it('drops the oldest of the bytes nobody asked for, and the call that comes then gets the rest', async () => {
    const w = world();
    for (let i = 0; i < 10; i++) w.feed(Buffer.alloc(10_000, 48 + i));
    w.feed(Buffer.from('\n'));
    const dropped = 100_001 - MAX_UNASKED;
    expect(w.recorder.requests.unasked_bytes).toBe(dropped);
    const reply = (await w.ask(line('\n'))) as string;
    expect(reply.length).toBe(MAX_UNASKED - 1);
    expect(reply.endsWith('9')).toBe(true);
  });

  it('stops the moment the connection ends, with bytes left', () => {
    const w = world();
    void w.ask({
      frame: () => 1,
      decode: () => {
        w.owner.alive = false;
      },
    });
    w.feed(Buffer.from('abc'));
    expect(w.owner.settled_calls).toBe(0);
  });
});

describe('messages', () => {
  it('property: each message goes to the oldest call that wants it, else to on_message, however cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 20 }),
        cuts,
        async (messages, where) => {
          const w = world(line());
          const wants = ['a', 'b', 'a'];
          const got = wants.map((want) => w.ask(match((m) => m === want)));
          const any = w.ask(null);
          const stream = Buffer.from(messages.map((m) => `${m}\r\n`).join(''));
          for (const piece of pieces(stream, where)) w.feed(piece);
          // the same, the simple way
          const waiting: (string | null)[] = [...wants, null];
          const rest = messages.filter((m) => {
            const i = waiting.findIndex((want) => want === null || want === m);
            if (i >= 0) waiting.splice(i, 1);
            return i < 0;
          });
          expect(w.pushed).toEqual(rest);
          expect(w.recorder.requests.ok).toBe(4 - waiting.length);
          w.inbound.abort(new Error('over'));
          const settled = await Promise.allSettled([...got, any]);
          expect(settled.filter((s) => s.status === 'fulfilled').length).toBe(4 - waiting.length);
          expect(w.recorder.requests.aborted).toBe(waiting.length);
          expect(w.recorder.requests.in_flight).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('a predicate that throws fails its own call; the others are let go', async () => {
    const w = world(line());
    const a = w.ask(
      match(() => {
        throw new TypeError('bug');
      }),
    );
    const b = w.ask(match(() => true));
    w.feed(Buffer.from('x\r\n'));
    expect(w.failures).toEqual([['fatal', 'fatal']]);
    w.inbound.abort(new Error('ended'));
    expect((await Promise.allSettled([a, b])).map((s) => s.status)).toEqual(['rejected', 'rejected']);
    expect(w.recorder.requests).toMatchObject({ aborted: 2, in_flight: 0 });
  });
});

describe('what a trace calls a message', () => {
  it('property: a reply exactly when a call took it, told in the order of the stream', () => {
    const kinds = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(kinds, kinds, cuts, (asked, sent, where) => {
        const w = world(line());
        const seen = w.watch();
        for (const kind of asked) void w.ask(match<string>((message) => message === kind));
        for (const piece of pieces(Buffer.from(sent.map((kind) => `${kind}\r\n`).join('')), where)) w.feed(piece);
        const left = [...asked];
        const wanted = sent.map((kind) => {
          const at = left.indexOf(kind);
          if (at >= 0) left.splice(at, 1);
          return `${at >= 0 ? 'reply' : 'push'} ${kind}\r\n`;
        });
        expect(seen).toEqual(wanted);
      }),
    );
  });

  it('tells of a push before on_message hears of it, so that what that sends stands behind', () => {
    const w = world(line());
    const seen = w.watch();
    Object.defineProperty(w.pushed, 'push', { value: (text: string) => seen.push(`heard ${text}`) });
    w.feed(Buffer.from('x\r\n'));
    expect(seen.map((text) => text.split(' ')[0])).toEqual(['push', 'heard']);
  });
});

describe('a parser that was not called', () => {
  const own = () => by_byte();
  it.each([
    ['reply_parser_crlf', reply_parser_crlf, 'a framer', 'reply_parser_crlf()'],
    ['own', own, 'a function', 'own()'],
    [
      'one without a name',
      (
        () => () =>
          line()
      )(),
      'a framer',
      'parser()',
    ],
  ])('%s: the call is suggested', async (_, parser, what, call) => {
    const w = world();
    const reply = w.ask(parser as unknown as Parser);
    await expect(reply).rejects.toThrow(
      `the parser returned ${what}: not a number of bytes; it makes parsers, so call it: ${call}`,
    );
    expect(w.failures).toEqual([['fatal', 'bad_parser']]);
  });

  it.each([
    [{}, 'an object'],
    [Promise.resolve(1), 'a promise'],
    [undefined, 'undefined'],
    [null, 'null'],
    [-1, '-1'],
    [
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no');
          },
        },
      ),
      'an object',
    ],
  ])('anything else that is no number says what it is: %#', async (returned, what) => {
    const w = world();
    await expect(w.ask((() => returned) as unknown as Parser)).rejects.toThrow(
      `returned ${what}: not a number of bytes`,
    );
    const framed = world();
    const reply = framed.ask({ frame: () => returned as number });
    framed.feed(Buffer.from('x'));
    await expect(reply).rejects.toThrow(`frame() returned ${what}: not a length in bytes`);
  });
});

describe('room for a reply', () => {
  /** bytes of every buffer that was made to hold what came */
  function made(play: () => void): number[] {
    const sizes: number[] = [];
    const make = Buffer.allocUnsafeSlow.bind(Buffer);
    const spy = vi.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation((size) => (sizes.push(size), make(size)));
    play();
    spy.mockRestore();
    return sizes;
  }

  it('property: made for what came, not for what was announced; all copies together stay linear', () => {
    const length = fc.integer({ min: 1, max: 1 << 20 });
    fc.assert(
      fc.property(
        length,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 65_536 }),
        (announced, share, read) => {
          const frame = Buffer.alloc(4 + announced);
          frame.writeUInt32BE(announced);
          const came = Math.floor(share * frame.length);
          // a million reads of one byte each prove no more, and take minutes
          const step = Math.max(read, Math.ceil(came / 2000));
          const w = world(null, 2 << 20);
          void w.ask(length_prefixed({ bytes: 4 }));
          const sizes = made(() => {
            for (let at = 0; at < came; at += step) w.feed(frame.subarray(at, Math.min(at + step, came)));
          });
          for (const size of sizes) expect(size).toBeLessThanOrEqual(Math.max(64, Math.min(2 * came, frame.length)));
          expect(sizes.reduce((all, size) => all + size, 0)).toBeLessThanOrEqual(64 + 4 * came);
        },
      ),
      {
        numRuns: 200,
        examples: [
          [1_048_570, 0, 1448],
          [1_048_570, 4 / 1_048_574, 1448],
          [1_048_570, 1, 1448],
          // the read that makes it whole is the one that needs more room
          [723, 1, 33],
        ],
      },
    );
  });
});
