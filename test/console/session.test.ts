import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { beat, totals_now } from '../metrics/beats.ts';
import { marked, summary, test_console, type Client, type TestConsole } from './fakes.ts';

let made: TestConsole;
beforeEach(async () => {
  made = await test_console();
});
afterEach(async () => {
  vi.useRealTimers();
  await made.close();
});

const counts = (): unknown[] => made.control.applied.map((c) => ('count' in c ? c.count : c.op));

async function greeted(): Promise<Client> {
  const client = made.connect();
  await client.until((c) => c.text.includes('all commands\r\n\r\n'));
  return client;
}

describe('plain lines', () => {
  it('greets with telnet, a CR and a banner in which nothing looks like an answer', async () => {
    const client = await greeted();
    expect(client.text).toMatch(/^\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f\r/);
    expect(client.text).toContain('Welcome to Swarm Remote Console');
    expect(client.text).toContain('\r\nincr 1000      -- start 1000 more clients\r\n');
    for (const line of client.text.split('\r\n')) expect(line).not.toMatch(/^(OK|ERR)/i);
    expect(client.text).not.toContain('swarm>');
  });

  it('answers lines of each kind of end, cut anywhere, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 99 }), fc.constantFrom('\n', '\r\n', '\r\0')), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.nat(60), { maxLength: 4 }),
        async (lines, cuts) => {
          made.control.applied.length = 0;
          const client = await greeted();
          const text = lines.map(([n, end]) => `incr ${n}${end}`).join('');
          const at = [0, ...cuts.sort((a, b) => a - b), text.length];
          for (let i = 1; i < at.length; i++) client.send(text.slice(at[i - 1], at[i]));
          await client.lines(lines.length);
          expect(counts()).toEqual(lines.map(([n]) => n));
          client.socket.end();
          await client.ended;
        },
      ),
      { numRuns: 15 },
    );
  });

  it('holds later lines back while it waits', async () => {
    const client = await greeted();
    made.control.publish({ target: 40 });
    made.control.set_open(10);
    client.send('incr 1\nwait\nincr 2\nwait 41 within 10ms\n');
    await client.lines(1);
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    made.control.set_open(39);
    expect(counts()).toEqual([1]);
    made.control.set_open(40);
    await expect(client.lines(4)).resolves.toEqual([
      'OK marked incr',
      'OK 40 open',
      'OK marked incr',
      'ERR not_yet 40 of 41',
    ]);
    expect(made.control.watchers.size).toBe(0);
  });

  it('gives a wait up when the run ends', async () => {
    const client = await greeted();
    client.send('wait 500\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    made.control.publish({ phase: 'drain' });
    await expect(client.lines(1)).resolves.toEqual(['ERR stopping the swarm is stopping']);
  });

  it('waits at most 60 s if not told otherwise', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const client = await greeted();
    client.send('wait 500\n');
    while (made.control.watchers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(59_999);
    expect(made.control.watchers.size).toBe(1);
    vi.advanceTimersByTime(1);
    await expect(client.lines(1)).resolves.toEqual(['ERR not_yet 88 of 500']);
  });

  it('answers everything read before a half-close, then closes', async () => {
    const client = await greeted();
    client.socket.end('incr 1\nlimits\nincr 2\n');
    await client.ended;
    expect(client.answers).toEqual(['OK marked incr', 'OK 2', expect.anything(), expect.anything(), 'OK marked incr']);
  });

  it('carries out what a plain client sent behind a wait, although it sends no more', async () => {
    const client = await greeted();
    client.socket.end('wait 500\nincr 5\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    made.control.set_open(500);
    await client.ended;
    expect(client.answers).toEqual(['OK 500 open', 'OK marked incr']);
  });

  it('does not carry out a line that the half-close cut', async () => {
    const client = await greeted();
    client.socket.end('incr 1\nincr 10');
    await client.ended;
    expect(client.answers).toEqual(['OK marked incr', 'ERR bad_line the last line has no end']);
    expect(counts()).toEqual([1]);
  });

  it('carries out nothing of a bad line, and answers blank ones with nothing', async () => {
    const client = await greeted();
    client.send(
      'help stop\nincr -5\nincr 1e9\nincr 0x10\nincr\nincr many\nincr 10000001\n\n  \nnonsense\nquit\nincr 1\n',
    );
    await client.ended;
    const usage =
      'incr N [in GROUP] [on LABEL] [over 30s]; N is a whole number from 1 to 10000000, a ramp takes at most 24h; units are ms, s, m and h, right behind the number';
    expect(client.answers.slice(2, 8)).toEqual(Array(6).fill(`ERR bad_command usage: ${usage}`));
    expect(client.answers.slice(8)).toEqual([
      'ERR bad_command unknown command "nonsense", help lists what there is',
      'OK bye',
    ]);
    expect(counts()).toEqual([]);
  });

  it('passes on what the swarm answers, on one line', async () => {
    made.control.reply = () => ({ ok: false, code: 'internal', reason: 'nothing\r\nOK fits' });
    const client = await greeted();
    client.send('incr 5\n');
    await expect(client.lines(1)).resolves.toEqual(['ERR internal nothing\\r\\nOK fits']);
  });

  it('answers although a rendering fails', async () => {
    const client = await greeted();
    made.control.now = { ...summary(), workers: null as unknown as [] };
    client.send('workers\nerrors\n');
    expect((await client.lines(2))[0]).toMatch(/^ERR internal /);
    expect(client.answers[1]).toBe('OK 0');
  });

  it('says the summary as one line of JSON', async () => {
    const client = await greeted();
    client.send('status json\n');
    const [line] = await client.lines(1);
    expect(JSON.parse(line!.replace(/^OK /, ''))).toEqual(made.control.now);
  });

  it('shows what a command did to whoever asks after its answer, in one write too', async () => {
    let target = 0;
    made.control.reply = () => {
      made.control.publish({ target: ++target });
      return marked(`target ${target}`);
    };
    const [client, other] = [await greeted(), await greeted()];
    client.send('status json\n' + 'incr 1\nstatus json\n'.repeat(20));
    const shown = (await client.lines(41)).map((line) => (/"target":(\d+)/.exec(line) ?? / (\d+)$/.exec(line))?.[1]);
    expect(shown).toEqual(['0', ...Array.from({ length: 20 }, (_, i) => [`${i + 1}`, `${i + 1}`]).flat()]);
    other.send('status json\n');
    expect((await other.lines(1))[0]).toContain('"target":20');
  });

  it('shows the last seconds, and what happened when', async () => {
    const client = await greeted();
    made.control.series.beat(beat(1000, totals_now([])));
    made.control.events.add('worker', 'gone', 'w1');
    made.control.events.add('mark', 'mark a', 'anna');
    client.send('series 60\nevents 3\nevents 1\n');
    const lines = await client.lines(6 + 3 + 2);
    expect(lines[0]).toBe('OK 5');
    expect(lines[1]).toMatch(/^each line is 3 seconds; /);
    expect(lines[3]).toMatch(/^00:00 /);
    expect(lines.slice(6)).toEqual([
      'OK 2',
      '22:13:20  worker  gone  (w1)',
      '22:13:20  mark    mark a  (anna)',
      'OK 1',
      '22:13:20  mark  mark a  (anna)',
    ]);
  });

  it('tells the swarm who gives a command', async () => {
    const client = await greeted();
    client.send('incr 5\n');
    await client.lines(1);
    expect(made.control.asked_by).toEqual([expect.stringMatching(/^console session 127\.0\.0\.1:\d+$/)]);
  });

  it('takes one byte at a time', async () => {
    const client = await greeted();
    for (const byte of 'incr 12\n') {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.lines(1);
    expect(counts()).toEqual([12]);
  });

  it('answers thousands of pipelined lines', async () => {
    const client = await greeted();
    client.send('pause\n'.repeat(2500));
    await client.lines(2500);
    expect(made.control.applied).toHaveLength(2500);
  });
});

describe('trace', () => {
  it('shows lines with a prefix until the end, never inside an answer', async () => {
    const client = await greeted();
    client.send('trace 7 5\n');
    await client.lines(1);
    const [trace] = made.control.traces;
    expect(trace).toMatchObject({ id: 7, seconds: 5 });
    client.send('limits\n');
    trace!.on_line('1.2 ms > "a\x1b"');
    await client.lines(5);
    trace!.on_line(null);
    trace!.on_line('too late');
    client.send('pause\n');
    const said = await client.lines(7);
    expect(said.filter((line) => line.startsWith('TRACE'))).toEqual(['TRACE 1.2 ms > "a\\x1b"', 'TRACE end']);
    const at = said.indexOf('OK 2');
    expect(said.slice(at + 1, at + 3).join()).not.toContain('TRACE');
  });

  it('keeps a half-closed session open until it ends', async () => {
    const client = await greeted();
    client.socket.end('trace 7\n');
    await client.lines(1);
    made.control.traces[0]!.on_line('x');
    made.control.traces[0]!.on_line(null);
    await client.ended;
    expect(client.answers).toEqual(['OK trace of client 7 in w1', 'TRACE x', 'TRACE end']);
  });

  it('stops when the session asks for another, and when it ends', async () => {
    const client = await greeted();
    client.send('trace 7\ntrace 8\n');
    await client.lines(2);
    expect(made.control.traces.map((trace) => trace.stopped)).toEqual([true, false]);
    client.send('quit\n');
    await client.ended;
    expect(made.control.traces.map((trace) => trace.stopped)).toEqual([true, true]);
  });
});

describe('hostile input', () => {
  const tls = Buffer.from([0x16, 3, 1, 0, 5, ...Buffer.from('\nincr 5\n')]).toString('latin1');
  it.each([
    ['a control byte', 'incr 1\n\x01\nincr 5\n', 'ERR bad_line a control character', [1]],
    ['a NUL', '\0incr 5\n', 'ERR bad_line a control character', []],
    ['a long line', `incr ${'9'.repeat(5000)}\nincr 5\n`, 'ERR bad_line a line of more than 4096 bytes', []],
    ['a TLS hello', tls, 'ERR bad_line this is not TLS', []],
  ])('%s: closed, logged', async (_, text, said, executed) => {
    const client = await greeted();
    client.socket.write(text, 'latin1');
    await client.ended;
    expect(client.answers.at(-1)).toBe(said);
    expect(counts()).toEqual(executed);
    expect(made.logged.filter((line) => line.startsWith('warn'))).toHaveLength(1);
  });

  // Each with a command of ours on a line of its own, as a mail, a header or a stored value can hold it.
  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\nincr 100\r\n'],
    ['HTTP behind blanks', '\r\n \tPOST /x HTTP/1.1\r\nX: y\r\n\r\nincr 100\n'],
    ['HTTP of a web page', 'POST /x HTTP/1.1\r\nX: y\r\n\r\nincr 100\n'],
    ['HTTP, a verb of nobody', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\nincr 100\n'],
    ['HTTP, our verbs', 'INCR /5 HTTP/1.1\r\nHost: x\r\n\r\nincr 100\n'],
    ['HTTP, a verb of ours that takes any words', 'MARK /x HTTP/1.1\r\nHost: x\r\n\r\nincr 100\n'],
    ['HTTP 0.9', 'GET /\r\nincr 100\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nincr 100\r\n'],
    ['RTSP', 'OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\nincr 100\r\n'],
    ['SIP', 'OPTIONS sip:a@x SIP/2.0\r\n\r\nincr 100\r\n'],
    ['SMTP', 'EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nincr 100\r\n.\r\nQUIT\r\n'],
    ['FTP', 'USER anonymous\r\nPASS x\r\nincr 100\r\nQUIT\r\n'],
    ['IRC', 'NICK x\r\nUSER x 0 * :x\r\nPRIVMSG #x :\r\nincr 100\r\n'],
    ['POP3', 'APOP x 0123\r\nincr 100\r\n'],
    ['IMAP', 'a1 LOGIN x {8}\r\nincr 100\r\n'],
    ['NNTP', 'MODE READER\r\nPOST\r\nincr 100\r\n'],
    ['RESP', '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\nincr 100\r\n'],
    ['redis, inline', 'SET k v\r\nincr 100\r\n'],
    ['redis with a password, inline', 'AUTH password\r\nSELECT 0\r\nincr 100\r\n'],
    ['memcached', 'set k 0 0 8\r\nincr 100\r\n'],
    ['memcached, a counter', 'incr k 1\r\nincr 100\r\n'],
    ['STOMP', 'CONNECT\naccept-version:1.2\n\nincr 100\n'],
    ['NATS', 'CONNECT {"verbose":false}\r\nPUB x 8\r\nincr 100\r\n'],
    ['SSH', 'SSH-2.0-x\r\nincr 100\r\n'],
    ['PROXY v1', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nincr 100\r\n'],
    ['PROXY v2', '\r\n\r\n\0\r\nQUIT\n!\x11\0\x0cxxxxxxxxxxxx\r\nincr 100\r\n'],
    ['syslog', '<34>1 2026-11-22T00:00:00Z x su - - -\nincr 100\n'],
    ['graphite', 'a.b 1 1700000000\nincr 100\n'],
    ['statsd', 'a:1|c\nincr 100\n'],
    ['XML', '<?xml version="1.0"?>\nincr 100\n'],
    ['JSON', '{"method":"x"}\nincr 100\n'],
    ['PostgreSQL', '\0\0\0\x0c\0\x03\0\0x\nincr 100\n'],
    ['LPD', '\x02x\nincr 100\n'],
    ['a person who mistypes', 'icnr 5\nincr 100\n'],
    ['a very long line', `${'x'.repeat(5000)}\nincr 100\n`],
  ])('another protocol, %s: closed at its first line, however it is cut', async (_, text) => {
    for (const at of [text.length, 1, Math.floor(text.length / 2)]) {
      const client = await greeted();
      client.socket.write(text.slice(0, at), 'latin1');
      await new Promise((resolve) => setImmediate(resolve));
      client.socket.write(text.slice(at), 'latin1');
      await client.ended;
      expect(client.answers.at(-1)).toMatch(/^ERR bad_line /);
    }
    expect(counts().filter((op) => op !== 'mark')).toEqual([]);
  });

  it('says to a person without editor that the session is closed, why, and what was meant', async () => {
    const client = await greeted();
    client.send('\r\nicnr 5\r\n');
    await client.ended;
    expect(client.answers).toEqual([
      'ERR bad_line closed, for the first line is no command: unknown command "icnr", did you mean "incr"?',
    ]);
  });

  it('a subnegotiation without end: closed', async () => {
    const client = await greeted();
    client.send([255, 250, 24, ...Array<number>(600).fill(65)]);
    client.send('incr 5\n');
    await client.ended;
    expect(client.answers).toEqual(['ERR bad_line a telnet subnegotiation of more than 512 bytes']);
    expect(counts()).toEqual([]);
  });

  it('telnet garbage: refused politely, and the session lives', async () => {
    const client = await greeted();
    client.send([255, 241, 255, 253, 24, 255, 251, 39, 255, 250, 24, 1, 255, 240, 255, 65]);
    client.send('incr 5\n');
    await client.until((c) => c.text.includes('OK marked incr'));
    expect(client.text).toContain('\xff\xfc\x18\xff\xfe\x27');
  });

  it('a client that never reads: answered no further than it reads, dropped after 30 s, and nobody else notices', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    made.control.now = summary({ run: { ...summary().run, seed: 'x'.repeat(500_000) } });
    let asked = 0;
    made.control.reply = () => marked(`${++asked} ${'y'.repeat(900)}`);
    const [silent, honest] = [await greeted(), await greeted()];
    silent.socket.pause();
    silent.send(`${'status json\n'.repeat(30)}${'pause\n'.repeat(900)}`);
    await vi.waitFor(
      async () => {
        const before = [made.control.applied.length, asked];
        for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
        expect([made.control.applied.length, asked]).toEqual(before);
        expect(silent.socket.bytesWritten).toBeGreaterThan(0);
      },
      { timeout: 15_000 },
    );
    expect(asked).toBe(0);
    honest.send('limits\n');
    await honest.lines(3);
    await vi.waitFor(() => {
      vi.advanceTimersByTime(30_000);
      expect(made.logged.join()).toMatch(/warn .* dropped, it does not read its answers$/);
    });
  });

  it('a client that reads slowly gets all its answers, in order', async () => {
    let n = 0;
    made.control.reply = () => marked(`${++n} ${'y'.repeat(900)}`);
    const client = await greeted();
    client.socket.pause();
    client.socket.end('pause\n'.repeat(2900));
    const reader = setInterval(() => {
      client.socket.resume();
      setImmediate(() => client.socket.pause());
    }, 1);
    try {
      await client.ended;
    } finally {
      clearInterval(reader);
    }
    expect(client.answers.map((line) => Number(line.split(' ')[2]))).toEqual(
      Array.from({ length: 2900 }, (_, i) => i + 1),
    );
  });

  it('questions have a pace: a hundred at once, then one each 50 ms', async () => {
    const client = await greeted();
    const began = performance.now();
    client.send('limits\n'.repeat(104));
    await client.lines(104 * 3);
    expect(performance.now() - began).toBeGreaterThan(140);
  });

  it('a client that vanishes: its wait is over, the lines behind it are not carried out', async () => {
    const client = await greeted();
    client.send('wait 500\nincr 5\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    client.socket.resetAndDestroy();
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(0));
    expect(counts()).toEqual([]);
  });

  it('a client that breaks off: its whole lines are carried out all the same, up to a wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (n, wait_at, cut) => {
          made.control.applied.length = 0;
          const client = await greeted();
          const lines = Array.from({ length: n }, (_, i) => `incr ${i + 1}`);
          const wanted = Array.from({ length: Math.min(n, wait_at) }, (_, i) => i + 1);
          lines.splice(wait_at, 0, 'wait 500');
          client.send(`${lines.join('\n')}\n${cut ? 'incr 1' : ''}`);
          await vi.waitFor(() => expect(counts().length).toBeGreaterThan(0));
          client.socket.resetAndDestroy();
          await vi.waitFor(() => {
            expect(counts()).toEqual(wanted);
            expect(made.control.watchers.size).toBe(0);
          });
        },
      ),
      { numRuns: 10 },
    );
  });

  it('nothing for 10 minutes: closed with a line, but not while a command is under way', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const [idle, busy] = [await greeted(), await greeted()];
    busy.send('wait 500 within 1h\n');
    while (made.control.watchers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(599_000);
    expect(idle.answers).toEqual([]);
    vi.advanceTimersByTime(1000);
    await idle.ended;
    expect(idle.answers).toEqual(['closing: nothing came for 10 minutes']);
    made.control.set_open(500);
    await expect(busy.lines(1)).resolves.toEqual(['OK 500 open']);
  });
});

describe('telnet', () => {
  const AGREED = [255, 253, 1, 255, 253, 3, 255, 251, 31, 255, 250, 31, 0, 80, 0, 24, 255, 240];
  async function telnet(): Promise<Client> {
    const client = await greeted();
    client.send(AGREED);
    await client.until((c) => c.text.includes('swarm> '));
    client.text = '';
    return client;
  }

  it('echoes, completes and prompts again', async () => {
    const client = await telnet();
    client.send('in\t 5 ov\t3s\r\0');
    await client.until((c) => /OK marked incr\r\n[^\n]*swarm> /.test(c.text));
    expect(client.text).toMatch(/incr {2}5 over 3s/);
    expect(made.control.applied).toEqual([{ op: 'incr', count: 5, over_ms: 3000 }]);
  });

  it('lists what a word can become at the second tab', async () => {
    const client = await telnet();
    client.send('st\t');
    client.send('\t');
    await client.until((c) => c.text.includes('status') && c.text.includes('stop'));
  });

  it('brings back earlier lines', async () => {
    const client = await telnet();
    client.send('pause\r\n');
    await client.until((c) => c.text.includes('OK marked pause'));
    client.send('\x1b[A\r\n');
    await vi.waitFor(() => expect(counts()).toEqual(['pause', 'pause']));
  });

  it('clears the line at Ctrl-C, gives up a wait, and is not stopped by Ctrl-Z', async () => {
    const client = await telnet();
    client.send('incr 5\x03\x1await 500\r\0');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    client.send([255, 244]);
    await client.until((c) => c.text.includes('ERR interrupted the wait was given up'));
    client.send('pause\r\0');
    await client.until((c) => c.text.includes('OK marked pause'));
    expect(counts()).toEqual(['pause']);
  });

  it('ends at Ctrl-D', async () => {
    const client = await telnet();
    client.send('pause\r\0\x04');
    await client.ended;
    expect(client.text).toMatch(/OK marked pause\r\n/);
  });

  it('is gone when its input ends: the wait is given up, the lines behind it are not carried out', async () => {
    const client = await telnet();
    client.send('wait 500\r\0incr 5\r\0');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    client.socket.end('incr 6\r\0');
    await client.ended;
    expect(client.text).toContain('ERR interrupted the wait was given up');
    expect(made.control.watchers.size).toBe(0);
    expect(counts()).toEqual([]);
  });

  it('ends its trace when its input ends', async () => {
    const client = await telnet();
    client.send('trace 7\r\0');
    await client.until((c) => c.text.includes('OK trace of client'));
    client.socket.end();
    await client.ended;
    expect(made.control.traces.map((trace) => trace.stopped)).toEqual([true]);
  });

  it('shows trace lines above what is being typed', async () => {
    const client = await telnet();
    client.send('trace 7\r\0');
    await client.until((c) => c.text.includes('OK trace of client'));
    client.send('inc');
    await client.until((c) => c.text.endsWith('inc'));
    client.text = '';
    made.control.traces[0]!.on_line('1 ms < "x"');
    await client.until((c) => c.text.includes('inc'));
    expect(client.text).toMatch(/^\r\x1b\[JTRACE 1 ms < "x"\r\n.*swarm> .*inc/s);
  });

  it('goes back to plain lines when the client takes its agreement back', async () => {
    const client = await telnet();
    client.send([255, 254, 1]);
    await client.until((c) => c.text.includes('\xff\xfc\x01'));
    client.text = '';
    client.send('pause\r\n');
    await client.until((c) => c.text.includes('\n'));
    expect(client.text).toBe('OK marked pause\r\n');
  });

  it('lets a person mistype, the first line too', async () => {
    const client = await telnet();
    client.send('icnr 5\r\0');
    await client.until((c) => c.text.includes('ERR bad_command unknown command "icnr", did you mean "incr"?'));
    client.send('incr 5\r\0');
    await vi.waitFor(() => expect(counts()).toEqual([5]));
  });

  it('reads no faster than it can edit, and not what nobody looks at', async () => {
    const [flood, honest] = [await telnet(), await greeted()];
    flood.socket.pause();
    flood.send('limits\r'.repeat(20_000));
    for (let i = 0; i < 10; i++) {
      honest.text = '-- all commands\r\n\r\n';
      honest.send('limits\n');
      await honest.lines(3);
    }
    expect(made.logged).toEqual([]);
  });

  it('closes at a line that never ends', async () => {
    const client = await telnet();
    client.send('x'.repeat(6000));
    await client.ended;
    expect(client.text).toContain('ERR bad_line a line of more than 4096 bytes');
    expect(counts()).toEqual([]);
  });

  it('takes over what was typed before the client agreed', async () => {
    const client = await greeted();
    client.send('pau');
    client.send(AGREED);
    client.send('se\r\0');
    await vi.waitFor(() => expect(counts()).toEqual(['pause']));
  });

  it('has no Enter that only NUL or an unknown key makes', async () => {
    const client = await telnet();
    client.send('pau\0\x00se\x1b[99~\r\0');
    await vi.waitFor(() => expect(counts()).toEqual(['pause']));
  });
});
