import { describe, expect, it } from 'vitest';
import { to_module } from '../../src/protocols/exports.ts';
import { line } from '../../src/protocols/framers.ts';

const heartbeat = (): void => {};

describe('to_module', () => {
  it('picks the commands and the reserved exports, and nothing else', () => {
    const exports = {
      heartbeat,
      helper: heartbeat,
      connected: heartbeat,
      messages: line(),
      on_message: heartbeat,
      max_reply: 4096,
      VERSION: 1,
    };
    const { commands, ...rest } = to_module(exports, ['heartbeat', 'heartbeat']);
    expect(Object.keys(commands)).toEqual(['heartbeat']);
    expect(commands.heartbeat).toBe(heartbeat);
    expect(rest).toEqual({ connected: heartbeat, messages: exports.messages, on_message: heartbeat, max_reply: 4096 });
  });

  it('leaves out what the module does not export', () => {
    expect(Object.keys(to_module({ heartbeat, setup: undefined }, ['heartbeat']))).toEqual(['commands']);
  });

  it('finds no command in the prototype', () => {
    expect(() => to_module({ heartbeat }, ['toString'])).toThrow(/it exports no toString/);
    expect('toString' in to_module({ heartbeat }, ['heartbeat']).commands).toBe(false);
  });

  it.each([
    [{ setup: 1 }, 'setup must be a function, not 1'],
    [{ teardown: {} }, 'teardown must be a function, not an object of another shape'],
    [{ connected: 'yes' }, 'connected must be a function, not a string'],
    [{ messages: line(), on_message: null }, 'on_message must be a function, not null'],
    [{ messages: line }, 'messages must be a framer, an object with frame(buffer, start, end, seen)'],
    [{ messages: { frame: heartbeat, decode: 1 } }, 'messages must be a framer'],
    [{ args: [] }, 'args must be an object with a JSON Schema (an object) per command, not an array'],
    [{ args: { heartbeat: true } }, 'args must be an object with a JSON Schema'],
    [{ args: { hartbeat: {} } }, 'args.hartbeat is for no exported function, did you mean heartbeat?'],
    [{ max_reply: 0 }, 'max_reply must be a whole number of bytes from 1 to 1073741824 (1 GiB), not 0'],
    [{ max_reply: 2 ** 30 + 1 }, 'not 1073741825'],
    [{ max_reply: '1' }, 'not a string'],
    [{ on_message: heartbeat }, 'on_message needs messages'],
  ])('refuses %o', (exports, text) => {
    expect(() => to_module({ heartbeat, ...exports }, ['heartbeat'])).toThrow(text);
  });

  it.each([
    ['setup', 'setup is a reserved export, not a command'],
    ['hartbeat', 'it exports no hartbeat, did you mean heartbeat?'],
    ['VERSION', 'VERSION must be a function, not 1'],
  ])('refuses %s as a command', (name, text) => {
    expect(() => to_module({ heartbeat, VERSION: 1 }, [name])).toThrow(text);
  });

  it('tells all faults at once', () => {
    expect(() => to_module({ setup: 1, max_reply: -1 }, ['heartbeat'])).toThrow(
      /setup must .*; max_reply must .*; it exports no heartbeat/,
    );
  });
});
