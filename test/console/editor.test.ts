import { afterEach, describe, expect, it, vi } from 'vitest';
import { Editor } from '../../src/console/editor.ts';
import { LINE_LIMIT } from '../../src/console/lines.ts';

/** An editor and what it did, in order; `screen` is what it showed since the last look. */
class Bench {
  readonly did: string[] = [];
  #shown = '';
  readonly editor: Editor;

  constructor(columns = 80) {
    this.editor = new Editor(columns, {
      line: (text) => this.did.push(`line ${text}`),
      output: (text) => void (this.#shown += text),
      interrupt: () => this.did.push('interrupt'),
      end: () => this.did.push('end'),
      too_long: () => this.did.push('too long'),
    });
  }

  type(text: string): void {
    this.editor.push(Buffer.from(text));
  }

  async did_so_far(...wanted: string[]): Promise<void> {
    await vi.waitFor(() => expect(this.did).toEqual(wanted));
  }

  /** Resolves when it shows `text`. */
  async shows(text: string): Promise<string> {
    await vi.waitFor(() => expect(this.#shown).toContain(text));
    return this.screen();
  }

  screen(): string {
    const shown = this.#shown;
    this.#shown = '';
    return shown;
  }
}

const benches: Bench[] = [];
const open = (columns?: number): Bench => {
  const bench = new Bench(columns);
  benches.push(bench);
  return bench;
};
afterEach(() => benches.splice(0).forEach((bench) => bench.editor.close()));

describe('Editor', () => {
  it('takes Enter as CR NUL, CR LF or CR, one line each', async () => {
    const bench = open();
    bench.type('one\r\0two\r\nthree\r');
    await bench.did_so_far('line one', 'line two', 'line three');
  });

  it('echoes what is typed, and brings an earlier line back', async () => {
    const bench = open();
    bench.editor.prompt();
    bench.type('status\r\0');
    await bench.did_so_far('line status');
    expect(bench.screen()).toMatch(/swarm> .*status.*\r\n/s);
    bench.type('\x1b[A\r\0');
    await bench.did_so_far('line status', 'line status');
  });

  it('keeps no token in its history', async () => {
    const bench = open();
    bench.type('pause\r\0 AUTH s3cret\r\0\x1b[A\r\0');
    await bench.did_so_far('line pause', 'line  AUTH s3cret', 'line pause');
  });

  it('completes commands, with what is typed behind the tab after it', async () => {
    const bench = open();
    bench.type('stat\tjson\r\0');
    await bench.did_so_far('line status json');
  });

  it('Ctrl-C clears the line and shows the prompt again where there was one', async () => {
    const bench = open();
    bench.editor.prompt();
    bench.type('incr 100');
    await bench.shows('incr 100');
    bench.type('\x03');
    await bench.did_so_far('interrupt');
    expect(bench.screen()).toMatch(/\^C\r\n.*swarm> /s);
    bench.type('pause\r\0');
    await bench.did_so_far('interrupt', 'line pause');
  });

  it('Ctrl-D ends it once, on an empty line only; Ctrl-Z does nothing', async () => {
    const bench = open();
    bench.type('x\x04\x1a\r\0');
    await bench.did_so_far('line x');
    bench.type('\x04');
    await bench.did_so_far('line x', 'end');
    bench.editor.close();
    expect(bench.did).toHaveLength(2);
  });

  it('closed from outside it tells nobody, and leaves the cursor at the start of a line', () => {
    const bench = open();
    bench.editor.prompt();
    bench.editor.close();
    bench.editor.close();
    expect(bench.screen()).toMatch(/swarm> .*\r\n$/s);
    expect(bench.did).toEqual([]);
  });

  it('prints above the prompt and what is being typed, and shows both again', async () => {
    const bench = open();
    bench.editor.prompt();
    bench.type('inc');
    await bench.shows('inc');
    bench.editor.print('TRACE a line\r\n');
    expect(bench.screen()).toMatch(/^\r\x1b\[JTRACE a line\r\n.*swarm> inc/s);
  });

  it('prints where no prompt is without drawing one', () => {
    const bench = open();
    bench.editor.print('OK\r\n');
    expect(bench.screen()).toBe('OK\r\n');
  });

  it('prints above a line that takes several rows of a narrow window', async () => {
    const bench = open(20);
    bench.editor.prompt();
    bench.type('x'.repeat(40));
    await bench.shows('x'.repeat(10));
    bench.editor.print('OK\r\n');
    expect(bench.screen().startsWith('\x1b[A\x1b[A\r\x1b[JOK\r\n')).toBe(true);
    bench.editor.resize(80);
    bench.screen();
    bench.editor.print('OK\r\n');
    expect(bench.screen().startsWith('\r\x1b[JOK\r\n')).toBe(true);
  });

  it('says when a line has become too long', async () => {
    const bench = open();
    const longest = 'x'.repeat(LINE_LIMIT);
    bench.type(`${longest}\r\0`);
    await bench.did_so_far(`line ${longest}`);
    bench.type('x'.repeat(LINE_LIMIT + 1));
    await vi.waitFor(() => expect(bench.did[1]).toBe('too long'));
  });
});
