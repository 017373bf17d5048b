import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { start_console, type Console } from '../../src/console/server.ts';
import { Output } from '../../src/foundation/output.ts';
import { open_surface } from '../../src/launch/surface.ts';
import type { LoadSummary } from '../../src/metrics/summary.ts';
import { FakeControl } from '../console/fakes.ts';

const at = (step: number, text: string, change: Partial<LoadSummary> = {}): LoadSummary => ({
  state: 'playing',
  step,
  steps: 4,
  text,
  seconds: 0,
  left_seconds: 10,
  all_left_seconds: 40,
  ...change,
});

/** A swarm with a surface; `written`: since the last call. */
function surface(console: Console, tty: boolean) {
  let text = '';
  const stream = new Writable({ write: (chunk, _, done) => ((text += String(chunk)), done()) });
  const out = new Output(Object.assign(stream, { isTTY: tty, columns: 60 }));
  let end: () => void = () => {};
  const swarm = Object.assign(new FakeControl(), {
    now_at: null as LoadSummary | null,
    load: (): LoadSummary | null => swarm.now_at,
    next_interval: () => swarm.summary(),
    ended: new Promise<void>((resolve) => (end = resolve)),
  });
  open_surface(console, swarm, 5000, { out, err: out, colour: { out: false, err: false } });
  const written = (): string => {
    const said = text;
    text = '';
    return said;
  };
  written();
  return {
    written,
    /** what is written while the load is there */
    show: (load: LoadSummary | null): string => {
      swarm.now_at = load;
      vi.advanceTimersByTime(250);
      return written();
    },
    end: async (load: LoadSummary | null): Promise<string> => {
      swarm.now_at = load;
      end();
      await swarm.ended;
      await Promise.resolve();
      return written();
    },
  };
}

describe('the load of a run', () => {
  let console: Console;
  beforeEach(async () => {
    console = await start_console({
      listen: { host: '127.0.0.1', port: 0 },
      token: undefined,
      log: { info: () => {}, warn: () => {} },
    });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    vi.stubEnv('TERM', 'xterm');
  });
  afterEach(async () => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
    await console.close();
  });

  it('is told in a line for each step where no terminal is', async () => {
    const { show, end } = surface(console, false);
    expect(show(null)).toBe('');
    expect(show(at(1, 'hold 10s'))).toBe('load: step 1 of 4, hold 10s: 10 s, 40 s to its end\n');
    expect(show(at(1, 'hold 10s', { seconds: 5, left_seconds: 5 }))).toBe('');
    expect(show(at(3, 'hold 20s', { left_seconds: 20, all_left_seconds: 20 }))).toBe(
      'load: steps 2 to 3 of 4, now hold 20s: 20 s, 20 s to its end\n',
    );
    expect(await end(at(4, 'stop', { state: 'over', left_seconds: null }))).toBe('load: over, after 4 steps\n');
    expect(show(at(1, 'mark'))).toBe('');
  });

  it('is a bar on a terminal, which is gone at the end and lets state lines pass', async () => {
    const { show, end, written } = surface(console, true);
    const listeners = process.listenerCount('exit');
    expect(show(null)).toBe('');
    expect(show(at(1, 'hold 10s', { seconds: 5, left_seconds: 5 }))).toBe(
      '\r\x1b[2K[██████······] step 1 of 4, hold 10s: 5 s left, 40 s to it…',
    );
    expect(show(at(1, 'hold 10s', { seconds: 5, left_seconds: 5 }))).toBe('');
    vi.advanceTimersByTime(5000);
    const lines = written().split('\n');
    expect(lines[0]).toMatch(/^\r\x1b\[2Krun 20 s \| target 0/);
    expect(lines.at(-1)).toMatch(/^\[██████······\] step 1 of 4/);
    expect(await end(at(1, 'hold 10s', { state: 'stopped' }))).toBe('\r\x1b[2K');
    expect(process.listenerCount('exit')).toBe(listeners - 1);
  });
});
