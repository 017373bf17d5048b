import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Output } from '../../src/foundation/output.ts';

/** The lines that a terminal shows; it knows CR, LF and what clears a line. */
class Screen {
  readonly lines = [''];
  #column = 0;

  readonly stream: Writable & { isTTY?: boolean } = Object.assign(
    new Writable({ write: (chunk, _, done) => (this.#show(String(chunk)), done()) }),
    { isTTY: true },
  );

  #show(text: string): void {
    for (const part of text.split(/(\r|\n|\x1b\[2K)/)) {
      const row = this.lines.length - 1;
      if (part === '\n') this.lines.push('');
      if (part === '\r' || part === '\n') this.#column = 0;
      else if (part === '\x1b[2K') this.lines[row] = '';
      else {
        const line = this.lines[row]!.padEnd(this.#column);
        this.lines[row] = line.slice(0, this.#column) + part + line.slice(this.#column + part.length);
        this.#column += part.length;
      }
    }
  }
}

describe('a line that stays below all others', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('is the last one whatever is written, by both outputs of a terminal, and is gone when it is taken away', () => {
    vi.stubEnv('TERM', 'xterm');
    const word = fc.stringMatching(/^[a-z]{0,9}$/);
    const deed = fc.oneof(
      fc.record({ below: word }),
      fc.record({ line: word, to: fc.constantFrom('out' as const, 'err' as const) }),
    );
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 30 }), (deeds) => {
        const screen = new Screen();
        const footer = { text: '' };
        const outputs = { out: new Output(screen.stream, footer), err: new Output(screen.stream, footer) };
        const said: string[] = [];
        let below = '';
        for (const one of deeds) {
          if ('below' in one) outputs.out.keep_below((below = one.below));
          else {
            outputs[one.to].line(one.line);
            said.push(one.line);
          }
          expect(screen.lines).toEqual([...said, below]);
        }
        outputs.out.keep_below('');
        expect(screen.lines).toEqual([...said, '']);
      }),
    );
  });

  it('is written once while it stays the same', () => {
    vi.stubEnv('TERM', 'xterm');
    const screen = new Screen();
    const write = vi.spyOn(screen.stream, 'write');
    const out = new Output(screen.stream);
    out.keep_below('here');
    out.keep_below('here');
    expect(write).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['a pipe', false, 'xterm'],
    ['a terminal that cannot', true, 'dumb'],
  ])('is not there on %s', (_, isTTY, term) => {
    vi.stubEnv('TERM', term);
    const screen = new Screen();
    screen.stream.isTTY = isTTY;
    const out = new Output(screen.stream);
    expect(out.redraws).toBe(false);
    out.keep_below('here');
    out.line('a line');
    expect(screen.lines).toEqual(['a line', '']);
  });

  it('is not written to a file that the other output goes to', () => {
    vi.stubEnv('TERM', 'xterm');
    const [screen, file] = [new Screen(), new Screen()];
    file.stream.isTTY = false;
    const footer = { text: '' };
    const [out, err] = [new Output(screen.stream, footer), new Output(file.stream, footer)];
    out.keep_below('here');
    err.line('a fault');
    expect(file.lines).toEqual(['a fault', '']);
    expect(screen.lines).toEqual(['here']);
  });
});
