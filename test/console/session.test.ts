import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { summary, test_console, type Client, type TestConsole } from './fakes.ts';

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
      'OK did incr',
      'OK 40 open',
      'OK did incr',
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
    expect(client.answers).toEqual(['OK did incr', 'OK 2', expect.anything(), expect.anything(), 'OK did incr']);
  });

  it('carries out what a plain client sent behind a wait, although it sends no more', async () => {
    const client = await greeted();
    client.socket.end('wait 500\nincr 5\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    made.control.set_open(500);
    await client.ended;
    expect(client.answers).toEqual(['OK 500 open', 'OK did incr']);
  });

  it('does not carry out a line that the half-close cut', async () => {
    const client = await greeted();
    client.socket.end('incr 1\nincr 10');
    await client.ended;
    expect(client.answers).toEqual(['OK did incr', 'ERR bad_line the last line has no end']);
    expect(counts()).toEqual([1]);
  });

  it('carries out nothing of a bad line, and answers blank ones with nothing', async () => {
    const client = await greeted();
    client.send('incr -5\nincr 1e9\nincr 0x10\nincr\nincr many\nincr 10000001\n\n  \nnonsense\nquit\nincr 1\n');
    await client.ended;
    const usage = 'incr N [on LABEL] [over 30s]; N is a whole number from 1 to 10000000, a ramp takes at most 24h';
    expect(client.answers.slice(0, 6)).toEqual(Array(6).fill(`ERR bad_command usage: ${usage}`));
    expect(client.answers.slice(6)).toEqual([
      'ERR bad_command unknown command "nonsense", help lists what there is',
      'OK bye',
    ]);
    expect(counts()).toEqual([]);
  });

  it('passes on what the swarm answers, on one line', async () => {
    made.control.reply = () => ({ ok: false, code: 'limit_files', text: 'nothing\r\nOK fits' });
    const client = await greeted();
    client.send('incr 5\n');
    await expect(client.lines(1)).resolves.toEqual(['ERR limit_files nothing\\r\\nOK fits']);
  });

  it('answers although a rendering fails', async () => {
    const client = await greeted();
    made.control.now = { ...summary(), workers: null as unknown as [] };
    client.send('workers\nlimits\n');
    expect((await client.lines(2))[0]).toMatch(/^ERR internal /);
    expect(client.answers[1]).toBe('OK 2');
  });

  it('says the summary as one line of JSON', async () => {
    const client = await greeted();
    client.send('status json\n');
    const [line] = await client.lines(1);
    expect(JSON.parse(line!.replace(/^OK /, ''))).toEqual(made.control.now);
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
    expect(client.answers).toEqual(['OK tracing 7 for 10 s', 'TRACE x', 'TRACE end']);
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
    ['a GET', 'GET / HTTP/1.1\r\nHost: x\r\n\r\nincr 5\n', 'ERR bad_line this is not HTTP', []],
    ['a POST behind blanks', '\r\n \tPOST /x HTTP/1.1\r\nX: y\r\n\r\nincr 5\n', 'ERR bad_line this is not HTTP', []],
    ['a POST from a web page', 'POST /x HTTP/1.1\r\nX: y\r\n\r\nincr 5\n', 'ERR bad_line this is not HTTP', []],
    ['an unknown verb', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\nincr 5\n', 'ERR bad_line this is not HTTP', []],
    ['a Host line behind commands', 'incr 5\nHost: x\r\n', 'ERR bad_line this is not HTTP', []],
    ['a TLS hello', tls, 'ERR bad_line this is not TLS', []],
  ])('%s: closed, logged', async (_, text, said, executed) => {
    const client = await greeted();
    client.socket.write(text, 'latin1');
    await client.ended;
    expect(client.answers.at(-1)).toBe(said);
    expect(counts()).toEqual(executed);
    expect(made.logged.filter((line) => line.startsWith('warn'))).toHaveLength(1);
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
    await client.until((c) => c.text.includes('OK did incr'));
    expect(client.text).toContain('\xff\xfc\x18\xff\xfe\x27');
  });

  it('a client that never reads: dropped', async () => {
    made.control.now = summary({ run: { ...summary().run, seed: 'x'.repeat(500_000) } });
    const client = await greeted();
    client.socket.pause();
    client.send('status json\n'.repeat(200));
    await vi.waitFor(() => expect(made.logged).toHaveLength(1));
    expect(made.logged[0]).toMatch(/^warn .* dropped, it does not read its answers$/);
  });

  it('a client that vanishes: its wait is over, the lines behind it are not carried out', async () => {
    const client = await greeted();
    client.send('wait 500\nincr 5\n');
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(1));
    client.socket.resetAndDestroy();
    await vi.waitFor(() => expect(made.control.watchers.size).toBe(0));
    expect(counts()).toEqual([]);
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
    await client.until((c) => /OK did incr\r\n[^\n]*swarm> /.test(c.text));
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
    await client.until((c) => c.text.includes('OK did pause'));
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
    await client.until((c) => c.text.includes('OK did pause'));
    expect(counts()).toEqual(['pause']);
  });

  it('ends at Ctrl-D', async () => {
    const client = await telnet();
    client.send('pause\r\0\x04');
    await client.ended;
    expect(client.text).toMatch(/OK did pause\r\n/);
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
    await client.until((c) => c.text.includes('OK tracing'));
    client.socket.end();
    await client.ended;
    expect(made.control.traces.map((trace) => trace.stopped)).toEqual([true]);
  });

  it('shows trace lines above what is being typed', async () => {
    const client = await telnet();
    client.send('trace 7\r\0');
    await client.until((c) => c.text.includes('OK tracing'));
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
    expect(client.text).toBe('OK did pause\r\n');
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
