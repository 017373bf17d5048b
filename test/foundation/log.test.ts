import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { make_log } from '../../src/foundation/log.ts';
import { Output } from '../../src/foundation/output.ts';

/** A stream that keeps what it is given; `fail` is what a write answers. */
function sink(options: { tty?: boolean; fail?: Error; stuck?: boolean } = {}): {
  stream: Writable & { isTTY?: boolean };
  text: () => string;
} {
  const chunks: string[] = [];
  const stream: Writable & { isTTY?: boolean } = new Writable({
    write(chunk, _encoding, done) {
      if (options.stuck) return;
      chunks.push(String(chunk));
      done(options.fail);
    },
  });
  if (options.tty) stream.isTTY = true;
  return { stream, text: () => chunks.join('') };
}

describe('make_log', () => {
  it('writes one JSON object a line, from its level upwards', () => {
    const { stream, text } = sink();
    const log = make_log('warn', new Output(stream), false);
    log.info('not this');
    log.warn({ worker: 'w1' }, 'this');
    const entry = JSON.parse(text()) as Record<string, unknown>;
    expect(entry).toMatchObject({ level: 'warn', worker: 'w1', msg: 'this' });
    expect(Date.parse(String(entry.time))).not.toBeNaN();
    expect(text().endsWith('}\n')).toBe(true);
  });

  it('writes a readable line on a terminal, without the control characters of foreign text', () => {
    const { stream, text } = sink({ tty: true });
    make_log('info', new Output(stream), false).error('wrong reply \x1b[2J');
    expect(text()).toMatch(/ERROR: wrong reply \\x1b\[2J\n$/);
  });

  it('is silent when told so', () => {
    const { stream, text } = sink();
    make_log('silent', new Output(stream), false).error('nothing');
    expect(text()).toBe('');
  });
});

describe('Output', () => {
  it('survives a reader that is gone, and writes no more', async () => {
    const { stream, text } = sink({ fail: Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) });
    const out = new Output(stream);
    out.line('one');
    await new Promise(setImmediate);
    out.line('two');
    await out.flush(1000);
    expect(text()).toBe('one\n');
  });

  it('drops what a stuck reader does not take, beyond a bound', async () => {
    const { stream } = sink({ stuck: true });
    const out = new Output(stream);
    for (let i = 0; i < 5000; i++) out.line('x'.repeat(1000));
    expect(stream.writableLength).toBeGreaterThan(1024 * 1024);
    expect(stream.writableLength).toBeLessThan(1024 * 1024 + 2000);
    await out.flush(1);
  });

  it('says how much it dropped once there is a reader again', () => {
    let release: (() => void) | undefined;
    const seen: string[] = [];
    const stream = new Writable({
      write(chunk, _encoding, done) {
        seen.push(String(chunk));
        if (release) done();
        else release = done;
      },
    });
    const out = new Output(stream);
    out.line('x'.repeat(2 * 1024 * 1024));
    out.line('lost');
    release!();
    out.line('back');
    expect(seen.slice(1).join('')).toBe('(lines dropped because nobody read them: 1)\nback\n');
  });
});
