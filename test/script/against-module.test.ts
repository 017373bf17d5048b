import { describe, expect, it } from 'vitest';
import { check_actions, type CheckedModule } from '../../src/script/against-module.ts';
import { parse_script } from '../../src/script/parse.ts';

const SCRIPT = `protocol: chat
actions:
  - command: enter
    args: { room: 7, nick: bob }
  - command: say
    args:
      text: hello
      times: 3
  - command: leave
`;

function check(module: CheckedModule, text = SCRIPT): string[] {
  const parsed = parse_script(text, 'chat.yml');
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return check_actions(parsed.rest, 'chat.yml', new Map([['chat', module]])).map(
    ({ file, line, column, message }) => `${file}:${line}:${column} ${message}`,
  );
}

const nothing = (): void => undefined;
const exports = { enter: nothing, say: nothing, leave: nothing };
const object = (properties: object, more: object = {}): object => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...more,
});

describe('check_actions', () => {
  it('accepts a script whose commands and args fit', () => {
    const args = {
      enter: object(
        { room: { type: 'integer', minimum: 1 }, nick: { type: 'string', format: 'nick' } },
        { required: ['room'] },
      ),
      say: object({ text: { type: 'string' }, times: { type: 'integer' } }),
      leave: object({}),
    };
    expect(check({ exports })).toEqual([]);
    expect(check({ exports, args })).toEqual([]);
  });

  it('names every command the module does not export, or not as a function', () => {
    const module = { exports: { enter_room: nothing, say: 'hello', leav: nothing, setup: nothing, max_reply: 5 } };
    expect(check(module)).toEqual([
      'chat.yml:3:14 the module `chat` does not export `enter`; it has `enter_room`, `leav`',
      'chat.yml:5:14 `say` of the module `chat` is not a function: it is the text `hello`',
      'chat.yml:9:14 the module `chat` does not export `leave`, did you mean `leav`?',
    ]);
    expect(check({ exports: {} })[2]).toBe(
      'chat.yml:9:14 the module `chat` does not export `leave`; it has no functions',
    );
  });

  it('does not take what every object has for an export', () => {
    const text = 'protocol: chat\nactions:\n  - command: toString\n  - command: constructor\n';
    expect(check({ exports }, text)).toHaveLength(2);
  });

  it('shows each fault of the args at the very arg', () => {
    const args = {
      enter: object({ room: { type: 'string' }, nickname: { type: 'string' } }, { required: ['nickname', 'room'] }),
      say: object({ text: { enum: ['hallo', 'tschuess'] }, times: { type: 'integer', maximum: 2, multipleOf: 2 } }),
      leave: object({ reason: { type: 'string' } }, { required: ['reason'] }),
    };
    expect(check({ exports, args })).toEqual([
      'chat.yml:4:11 `args` lacks the key `nickname`',
      'chat.yml:4:19 `room` must be text, not 7: put it in quotes',
      'chat.yml:4:22 unknown key `nick`',
      'chat.yml:7:13 `text` must be one of `hallo`, `tschuess`, not the text `hello`, did you mean `hallo`?',
      'chat.yml:8:14 `times` must be <= 2, not 3',
      'chat.yml:8:14 `times` must be multiple of 2, not 3',
      'chat.yml:9:5 `args` lacks the key `reason`',
    ]);
  });

  it('says once what a choice, a condition or a rule for keys says twice', () => {
    const args = {
      enter: { properties: { room: { anyOf: [{ type: 'string' }, { type: 'array' }] } } },
      say: { if: { required: ['text'] }, then: { required: ['to'] } },
      leave: {},
    };
    expect(check({ exports, args })).toEqual([
      'chat.yml:4:19 `room` must be text or a list, not 7',
      'chat.yml:7:7 `args` lacks the key `to`',
    ]);
    const shapes = { enter: { oneOf: [object({}), { type: 'string' }] }, say: { oneOf: [{ type: 'object' }, {}] } };
    expect(check({ exports, args: shapes })).toEqual([
      'chat.yml:4:11 `args` fits none of the shapes it may have',
      'chat.yml:7:7 `args` fits more than one of the shapes of which it must have one',
    ]);
    expect(check({ exports, args: { say: { propertyNames: { maxLength: 4 } } } })).toEqual([
      'chat.yml:8:7 `args`: the key `times` must not have more than 4 characters',
    ]);
  });

  it('shows what is wrong with the schemas of the module at the protocol', () => {
    const args: Record<string, object> = {
      enter: { type: 'objct' },
      say: { required: 'text', requried: [] },
      leave: { $ref: 'http://example.com/leave.json' },
      sya: {},
    };
    const faults = check({ exports, args: { ...args } });
    expect(faults).toHaveLength(4);
    for (const fault of faults) expect(fault).toMatch(/^chat\.yml:1:11 the module's `args` /);
    expect(faults[0]).toContain('for `enter` is not a JSON Schema (draft-07): ');
    expect(faults[3]).toContain('describes `sya`, which it does not export, did you mean `say`?');
    expect(check({ exports, args: { say: null as never, leave: { $async: true } } })).toEqual([
      "chat.yml:1:11 the module's `args` for `say` is not a JSON Schema (draft-07): it is nothing",
      "chat.yml:1:11 the module's `args` for `leave` is not a JSON Schema (draft-07): it is asynchronous",
    ]);
  });

  it('looks at what can be read of a script that has faults, and repeats none of them', () => {
    const text = `protocol: chat
actions:
  - round: 3
    command: say
  - command: seet
    args: 5
  - command: enter
    args: { room: !!foo 7, nick: 8 }
  - command: setup
  - command: ''
  - command: 7
  - nothing: here
  - command: leave
    args: *nowhere
`;
    const parsed = parse_script(text, 'chat.yml');
    if (!('faults' in parsed) || parsed.rest === undefined) throw new Error('it has faults, and a module');
    expect(parsed.faults.map(({ line }) => line)).toEqual([3, 6, 8, 9, 10, 11, 12, 12, 14]);
    const args = {
      enter: object({ room: { type: 'integer' }, nick: { type: 'string' } }),
      say: { required: ['text'] },
      leave: { required: ['reason'] },
    };
    const faults = check_actions(parsed.rest, 'chat.yml', new Map([['chat', { exports, args }]]));
    expect(faults.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
      '3:5 `args` lacks the key `text`',
      '5:14 the module `chat` does not export `seet`; it has `enter`, `say`, `leave`',
      '8:34 `nick` must be text, not 8: put it in quotes',
    ]);
  });

  it('takes each group to its own module, and several loops only to one that tells whose a reply is', () => {
    const text = `protocol: chat
groups:
  a:
    loops: { x: [{ command: say }], y: [{ command: enter }] }
  b:
    protocol: redis
    actions: [{ command: say }, { command: get, args: { key: 7 } }]
  c:
    protocol: redis
    loops: { z: { actions: [{ command: say }, { command: gett }] } }
`;
    const parsed = parse_script(text, 'chat.yml');
    if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
    const redis = { exports: { get: nothing }, args: { get: object({ key: { type: 'string' } }) } };
    const told = (chat: CheckedModule): string[] =>
      check_actions(
        parsed.rest,
        'chat.yml',
        new Map<string, CheckedModule>([
          ['chat', chat],
          ['redis', redis],
        ]),
      ).map(({ line, column, message }) => `${line}:${column} ${message}`);
    const of_redis = [
      '7:26 the module `redis` does not export `say`; it has `get`',
      '7:62 `key` must be text, not 7: put it in quotes',
      '10:40 the module `redis` does not export `say`; it has `get`',
      '10:58 the module `redis` does not export `gett`, did you mean `get`?',
    ];
    expect(told({ exports: { ...exports, messages: {} } })).toEqual(of_redis);
    expect(told({ exports })).toEqual([
      '4:5 these 2 loops are played at once on one connection, and the module `chat` does not tell whose a reply is: ' +
        'export `messages` there, or write one list of `actions` here',
      ...of_redis,
    ]);
  });

  it('lets a client run several rounds at once only with a module that tells whose a reply is', () => {
    const text = `protocol: chat
actions:
  - { command: say, rate: 5/s, at_once: 1 }
  - { command: say, name: loud, rate: 5/s, at_once: 3 }
`;
    expect(check({ exports: { ...exports, messages: {} } }, text)).toEqual([]);
    expect(check({ exports }, text)).toEqual([
      'chat.yml:4:53 a client would run 3 rounds at once on one connection, and the module `chat` does not tell whose a ' +
        'reply is: export `messages` there, or leave `at_once` out',
    ]);
  });

  it.each(['protocol: ../chat', 'protocol: 7', 'protocol: !!foo chat', 'x: 1', 'protocol: chat\n\tx'])(
    'has no module to look at where the script begins with %j',
    (begin) => {
      const parsed = parse_script(`${begin}\nactions:\n  - command: say\n`, 'chat.yml');
      expect(parsed).toHaveProperty('faults');
      expect(parsed).not.toHaveProperty('rest');
    },
  );

  it('takes schemas with the same $id', () => {
    const schema = (): object => ({ $id: 'same', type: 'object' });
    expect(check({ exports, args: { enter: schema(), say: schema() } })).toEqual([]);
  });
});
