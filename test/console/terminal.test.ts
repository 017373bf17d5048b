import { afterEach, describe, expect, it, vi } from 'vitest';
import { GREETING } from '../../src/console/telnet.ts';
import { Terminal } from '../../src/console/terminal.ts';

const [IAC, WILL, DO, DONT, SB, SE] = [255, 251, 253, 254, 250, 240];
const [ECHO, WINDOW, INTERRUPT] = [1, 31, 244];

/** A terminal, what it told and what it showed. */
class Bench {
  readonly told: string[] = [];
  shown = Buffer.alloc(0);
  readonly terminal: Terminal;

  constructor(may_edit: boolean) {
    this.terminal = new Terminal(may_edit, {
      line: (text) => this.told.push(`line ${text}`),
      output: (data) => void (this.shown = Buffer.concat([this.shown, Buffer.from(data)])),
      editing: () => this.told.push('editing'),
      interrupt: () => this.told.push('interrupt'),
      end: (bad) => this.told.push(`end ${bad}`),
    });
  }

  receive(...parts: (string | number)[]): void {
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part])));
    this.terminal.receive(Buffer.concat(bytes));
  }

  async tells(...wanted: string[]): Promise<void> {
    await vi.waitFor(() => expect(this.told).toEqual(wanted));
  }

  get text(): string {
    return this.shown.toString('latin1');
  }
}

const benches: Bench[] = [];
const open = (may_edit = true): Bench => {
  const bench = new Bench(may_edit);
  bench.terminal.greet();
  benches.push(bench);
  return bench;
};
afterEach(() => benches.splice(0).forEach((bench) => bench.terminal.close()));

describe('Terminal', () => {
  it('greets with its telnet options and covers them', () => {
    expect(open().shown).toEqual(Buffer.concat([GREETING, Buffer.from('\r')]));
  });

  it('gives plain lines to a client that never answers, and neither echo nor prompt', () => {
    const bench = open();
    const greeted = bench.text;
    bench.receive('status\nincr', ' 5\r\nhalf');
    bench.terminal.prompt();
    expect(bench.told).toEqual(['line status', 'line incr 5']);
    expect([bench.text, bench.terminal.is_editing]).toEqual([greeted, false]);
    expect(bench.terminal.rest()).toBe('half');
  });

  it('starts the editor when the client agrees to be echoed, with what was typed before', async () => {
    const bench = open();
    bench.receive('sta', IAC, DO, ECHO, 'tus\r\0');
    await bench.tells('editing', 'line status');
    expect([bench.terminal.is_editing, bench.terminal.rest()]).toEqual([true, '']);
    bench.terminal.prompt();
    expect(bench.text).toContain('swarm> ');
  });

  it('edits only when it may: before that neither echoes', () => {
    const bench = open(false);
    const greeted = bench.text;
    bench.receive(IAC, DO, ECHO, 'auth s3cret\r\0');
    expect([bench.told, bench.text]).toEqual([['line auth s3cret'], greeted]);
    bench.terminal.allow_editing();
    expect(bench.told.at(-1)).toBe('editing');
  });

  it('goes back to plain lines when the client withdraws', async () => {
    const bench = open();
    bench.receive(IAC, DO, ECHO);
    bench.receive(IAC, DONT, ECHO, 'plain\n');
    await bench.tells('editing', 'line plain');
    expect(bench.terminal.is_editing).toBe(false);
  });

  it('takes the size of the window before and after the editor starts', async () => {
    const bench = open();
    bench.receive(IAC, WILL, WINDOW, IAC, SB, WINDOW, 0, 20, 0, 50, IAC, SE, IAC, DO, ECHO);
    bench.terminal.prompt();
    bench.receive('x'.repeat(40));
    await vi.waitFor(() => expect(bench.text).toContain('x'.repeat(10)));
    bench.shown = Buffer.alloc(0);
    bench.terminal.print('OK\r\n');
    expect(bench.text.startsWith('\x1b[A\x1b[A\r')).toBe(true);
    bench.receive(IAC, SB, WINDOW, 0, 80, 0, 50, IAC, SE);
    bench.shown = Buffer.alloc(0);
    bench.terminal.print('OK\r\n');
    expect(bench.text.startsWith('\r')).toBe(true);
  });

  it('passes on the interrupt of telnet, to the editor alone', async () => {
    const bench = open();
    bench.receive(IAC, INTERRUPT);
    expect(bench.told).toEqual([]);
    bench.receive(IAC, DO, ECHO, IAC, INTERRUPT);
    await bench.tells('editing', 'interrupt');
  });

  it.each<[string, (string | number)[], string]>([
    ['a control character', ['ok\n\x01more\n'], 'end a control character'],
    ['a subnegotiation without end', [IAC, SB, WINDOW, 'x'.repeat(600)], 'end '],
    ['a plain line without end', ['x'.repeat(5000)], 'end a line of more than 4096 bytes'],
  ])('ends at %s, and tells nothing after it', (_, bytes, end) => {
    const bench = open();
    bench.receive(...bytes);
    const told = bench.told.length;
    expect(bench.told.at(-1)?.startsWith(end)).toBe(true);
    bench.receive('incr 5\n');
    expect(bench.told).toHaveLength(told);
    expect(bench.terminal.rest()).toBe('');
  });

  it('ends at a line without end in the editor, and at Ctrl-D', async () => {
    const endless = open();
    endless.receive(IAC, DO, ECHO, 'x'.repeat(5000));
    await endless.tells('editing', 'end a line of more than 4096 bytes');
    const leaving = open();
    leaving.receive(IAC, DO, ECHO, '\x04');
    await leaving.tells('editing', 'end null');
  });

  it('tells nothing once it is closed', async () => {
    const bench = open();
    bench.receive(IAC, DO, ECHO);
    bench.terminal.close();
    bench.receive('incr 5\r\0\x03\x04');
    await new Promise((resolve) => setImmediate(resolve));
    expect(bench.told).toEqual(['editing']);
  });
});
