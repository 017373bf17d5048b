import node_console, * as parts from 'node:console';
import { createRequire } from 'node:module';
import * as node_process from 'node:process';
import { describe, expect, it } from 'vitest';
import type { Note } from '../../../src/swarm/plan/account.ts';
import { BugLog, guard_module, is_module_error } from '../../../src/swarm/worker/module-guard.ts';

const with_stack = (message: string, ...frames: string[]): Error => {
  const error = new TypeError(message);
  error.stack = `TypeError: ${message}\n${frames.map((f) => `    at ${f}`).join('\n')}`;
  return error;
};
const own = `call (${new URL('../../../src/swarm/client/runner.ts', import.meta.url).pathname}:1:1)`;

describe('is_module_error', () => {
  it('is the module’s when a frame is neither Node’s nor ours', () => {
    expect(is_module_error(with_stack('x', 'f (/home/u/protocols/x.ts:3:5)', own))).toBe(true);
    expect(
      is_module_error(
        with_stack('x', 'JSON.parse (<anonymous>)', 'listOnTimeout (node:internal/timers:1:1)', '/home/u/x.ts:1:1'),
      ),
    ).toBe(true);
    expect(is_module_error('a string')).toBe(true);
    expect(is_module_error(with_stack('x', own, 'listOnTimeout (node:internal/timers:1:1)'))).toBe(false);
  });
});

describe('BugLog', () => {
  it('tells the first of each kind with the user’s frames, and at most 100 kinds', () => {
    const notes: Note[] = [];
    const log = new BugLog((note) => notes.push(note));
    for (let i = 0; i < 5; i++) log.add('fatal', with_stack('oops', 'f (/home/u/x.ts:3:5)', own));
    expect(notes).toEqual([{ level: 'error', text: 'fatal: TypeError: oops\n    at f (/home/u/x.ts:3:5)' }]);
    for (let i = 0; i < 300; i++) log.add('fatal', with_stack('oops', `f (/home/u/x.ts:${i}:1)`));
    expect(notes.length).toBe(100);
    log.add('fatal', {
      toString: () => {
        throw new Error('evil');
      },
    });
  });
});

describe('guard_module', () => {
  it('takes the console away from stdout, at most 100 lines a second, and gives it back', () => {
    const notes: Note[] = [];
    const real = globalThis.console;
    const guard = guard_module({ note: (n) => notes.push(n), stray: () => {}, internal: () => {} });
    const start = performance.now();
    try {
      for (let i = 0; i < 250; i++) console.log('line', i);
      console.error('two\nlines');
    } finally {
      guard.undo();
    }
    expect(globalThis.console).toBe(real);
    expect(notes.length + guard.dropped()).toBe(252);
    expect(notes.length).toBeGreaterThanOrEqual(100);
    const seconds = Math.ceil((performance.now() - start) / 1000) + 1; // that it had a part in
    expect(notes.length).toBeLessThanOrEqual(100 * seconds);
    expect(notes[0]).toEqual({ level: 'info', text: 'line 0' });
  });

  it('takes away stdout and stderr, however they are reached, within the same bounds, and gives them back', async () => {
    const notes: Note[] = [];
    const names = ['stdout', 'stderr'] as const;
    const before = names.map((name) => Object.getOwnPropertyDescriptor(process, name));
    const guard = guard_module({ note: (n) => notes.push(n), stray: () => {}, internal: () => {} });
    try {
      process.stdout.write('out\nof two lines\n');
      process.stderr.write(Buffer.from('err'));
      node_process.stderr.write('by name\n');
      await new Promise((resolve) => process.stdout.write('with a callback\n', resolve));
      expect(notes.map(({ level, text }) => `${level} ${text}`)).toEqual([
        'info out',
        'info of two lines',
        'warn err',
        'warn by name',
        'info with a callback',
      ]);
      // 150 MB: nothing of it is kept but what is told
      const line = `${'x'.repeat(499)}\n`.repeat(100);
      for (let i = 0; i < 3000; i++) process.stderr.write(line);
      process.stdout.end();
      process.stdout.write('after its end');
    } finally {
      guard.undo();
    }
    expect(notes.length + guard.dropped()).toBe(300_005);
    expect(notes.length).toBeLessThan(2000);
    expect(Math.max(...notes.map(({ text }) => text.length))).toBeLessThanOrEqual(1000);
    expect(names.map((name) => Object.getOwnPropertyDescriptor(process, name))).toEqual(before);
  });

  it('takes away the console that is imported, too', () => {
    const notes: Note[] = [];
    const required = createRequire(import.meta.url)('console') as Console;
    const before = { ...node_console };
    const guard = guard_module({ note: (n) => notes.push(n), stray: () => {}, internal: () => {} });
    try {
      node_console.log('default');
      required.error('required');
      parts.info('by name');
      node_console.group('group');
      node_console.table([{ a: 1 }]);
    } finally {
      guard.undo();
    }
    expect({ ...node_console }).toEqual(before);
    expect({ ...parts }).toMatchObject(before);
    expect(notes.slice(0, 4)).toEqual([
      { level: 'info', text: 'default' },
      { level: 'warn', text: 'required' },
      { level: 'info', text: 'by name' },
      { level: 'info', text: 'group' },
    ]);
    expect(notes.length).toBeGreaterThan(5);
  });
});
