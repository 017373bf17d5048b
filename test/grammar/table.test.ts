import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMANDS, complete, help_lines, parse_line } from '../../src/grammar/table.ts';

const request = (line: string): unknown => {
  const parsed = parse_line(line);
  return parsed.ok ? parsed.request : parsed.reason;
};

/** What a line of the wrong shape, or with a value out of bounds, answers. */
const usage_of = (name: string): string => {
  const { usage, bounds } = COMMANDS.find((row) => row.name === name)!;
  return bounds === undefined ? `usage: ${usage}` : `usage: ${usage}; ${bounds}`;
};

describe('parse_line', () => {
  const good: [string, object][] = [
    ['incr 1', { op: 'incr', count: 1, over_ms: 0 }],
    ['incr 10000000', { op: 'incr', count: 10_000_000, over_ms: 0 }],
    ['  INCR\t5  ', { op: 'incr', count: 5, over_ms: 0 }],
    ['Incr 5 OVER 30s', { op: 'incr', count: 5, over_ms: 30_000 }],
    ['incr 5 over 1.5', { op: 'incr', count: 5, over_ms: 1500 }],
    ['incr 5 over 24h', { op: 'incr', count: 5, over_ms: 86_400_000 }],
    ['decr 7', { op: 'decr', count: 7, graceful: false, over_ms: 0 }],
    ['decr 7 graceful', { op: 'decr', count: 7, graceful: true, over_ms: 0 }],
    ['decr 7 over 500ms', { op: 'decr', count: 7, graceful: false, over_ms: 500 }],
    ['decr 7 Graceful over 1m', { op: 'decr', count: 7, graceful: true, over_ms: 60_000 }],
    ['set 0', { op: 'set', count: 0, over_ms: 0 }],
    ['set 12 over 2s', { op: 'set', count: 12, over_ms: 2000 }],
    ['incr 5 on eu', { op: 'incr', count: 5, over_ms: 0, on: 'eu' }],
    ['incr 5 ON label=site=eu over 2s', { op: 'incr', count: 5, over_ms: 2000, on: 'site=eu' }],
    ['decr 7 graceful on eu', { op: 'decr', count: 7, graceful: true, over_ms: 0, on: 'eu' }],
    ['set 0 on eu', { op: 'set', count: 0, over_ms: 0, on: 'eu' }],
    ['incr 5 in Talkers', { op: 'incr', count: 5, over_ms: 0, in: 'Talkers' }],
    ['decr 7 over 3s IN a_b-9 Graceful', { op: 'decr', count: 7, graceful: true, over_ms: 3000, in: 'a_b-9' }],
    ['set 9 over 2s on eu in b', { op: 'set', count: 9, over_ms: 2000, on: 'eu', in: 'b' }],
    ['connect-rate 500', { op: 'connect_rate', per_s: 500 }],
    ['rate 500', { op: 'connect_rate', per_s: 500 }],
    ['rate 0.5', { op: 'connect_rate', per_s: 0.5 }],
    ['rate say 100/s', { op: 'rate', action: 'say', per_s: 100, over_ms: 0, poisson: false }],
    ['RATE Say 0/m', { op: 'rate', action: 'Say', per_s: 0, over_ms: 0, poisson: false }],
    ['rate a.b.c-1 90/M Over 30s', { op: 'rate', action: 'a.b.c-1', per_s: 1.5, over_ms: 30_000, poisson: false }],
    ['rate a.say 0.5/s POISSON', { op: 'rate', action: 'a.say', per_s: 0.5, over_ms: 0, poisson: true }],
    ['rate say 1000000/s poisson over 24h', { op: 'rate', action: 'say', per_s: 1e6, over_ms: 864e5, poisson: true }],
    ['rate say 7/m over 500ms poisson', { op: 'rate', action: 'say', per_s: 0.116667, over_ms: 500, poisson: true }],
    ['arrive 10/s', { op: 'arrive', per_s: 10, over_ms: 0, poisson: false, at_most: null }],
    ['ARRIVE 0/m', { op: 'arrive', per_s: 0, over_ms: 0, poisson: false, at_most: null }],
    ['arrive 90/m IN b', { op: 'arrive', per_s: 1.5, over_ms: 0, poisson: false, at_most: null, in: 'b' }],
    [
      'arrive 5/s In a_b-9 At_Most 40 Poisson over 30s',
      { op: 'arrive', per_s: 5, over_ms: 30_000, poisson: true, at_most: 40, in: 'a_b-9' },
    ],
    [
      'arrive 1/s in over over 2s',
      { op: 'arrive', per_s: 1, over_ms: 2000, poisson: false, at_most: null, in: 'over' },
    ],
    ['pause', { op: 'pause' }],
    ['resume', { op: 'resume' }],
    ['status', { op: 'status', json: false }],
    ['status JSON', { op: 'status', json: true }],
    ['load', { op: 'load_state' }],
    ['load END', { op: 'load_end' }],
    ['load  set 5 over 2s;  Hold 3s ', { op: 'load', text: 'set 5 over 2s;  Hold 3s' }],
    ['hold 5m', { op: 'load', text: 'hold 5m' }],
    ['repeat 2 (incr 1; hold 1s)', { op: 'load', text: 'repeat 2 (incr 1; hold 1s)' }],
    ['wait', { op: 'wait', what: 'open', count: null, within_ms: null }],
    ['wait 9', { op: 'wait', what: 'open', count: 9, within_ms: null }],
    ['wait within 5s', { op: 'wait', what: 'open', count: null, within_ms: 5000 }],
    ['wait 9 within 24h', { op: 'wait', what: 'open', count: 9, within_ms: 86_400_000 }],
    ['wait Ready', { op: 'wait', what: 'ready', count: null, within_ms: null }],
    ['wait done 3 within 1m', { op: 'wait', what: 'done', count: 3, within_ms: 60_000 }],
    ['actions', { op: 'actions' }],
    ['mark', { op: 'mark', text: '' }],
    ['mark Ramp is   Over', { op: 'mark', text: 'Ramp is Over' }],
    [`mark ${'x'.repeat(200)}`, { op: 'mark', text: 'x'.repeat(200) }],
    ['annotate the  server is Up', { op: 'annotate', text: 'the server is Up' }],
    ['errors', { op: 'errors' }],
    ['retry fatal', { op: 'retry_fatal' }],
    ['workers', { op: 'workers' }],
    ['agents', { op: 'agents' }],
    ['rebalance', { op: 'rebalance' }],
    ['drain eu-1', { op: 'drain', agent: 'eu-1', off: false }],
    ['drain eu-1 OFF', { op: 'drain', agent: 'eu-1', off: true }],
    ['evict EU_1', { op: 'evict', agent: 'EU_1' }],
    ['limits', { op: 'limits' }],
    ['series', { op: 'series', seconds: 10 }],
    ['series 3600', { op: 'series', seconds: 3600 }],
    ['events', { op: 'events', count: 20 }],
    ['events 1000', { op: 'events', count: 1000 }],
    ['trace 4', { op: 'trace', id: 4, seconds: 10 }],
    ['trace 4 300', { op: 'trace', id: 4, seconds: 300 }],
    ['trace 4 2s', { op: 'trace', id: 4, seconds: 2 }],
    ['trace 4 500ms', { op: 'trace', id: 4, seconds: 0.5 }],
    ['trace 4 5m', { op: 'trace', id: 4, seconds: 300 }],
    ['stop', { op: 'stop', now: false }],
    ['stop now', { op: 'stop', now: true }],
    ['quit', { op: 'quit' }],
    ['help', { op: 'help', name: null }],
    ['help Incr', { op: 'help', name: 'incr' }],
    ['auth SeCret', { op: 'auth', token: 'SeCret' }],
  ];
  it.each(good)('%s', (line, wanted) => expect(request(line)).toEqual(wanted));

  it('tries every command', () => {
    expect(new Set(good.map(([line]) => line.trim().split(/\s/)[0]!.toLowerCase()))).toEqual(
      new Set(COMMANDS.map((row) => row.name)),
    );
  });

  const numbers = [
    '',
    '0',
    '-5',
    '+5',
    '1e9',
    '0x10',
    '05',
    '1.5',
    '1_000',
    'five',
    '10000001',
    '99999999',
    '123456789',
    '５',
    '1;',
    'NaN',
  ];
  it.each(['incr', 'decr', 'trace'])('%s with a bad number is its usage', (name) => {
    for (const number of numbers) expect(request(`${name} ${number}`)).toBe(usage_of(name));
  });
  it.each(['set', 'wait'])('%s with a bad number is its usage', (name) => {
    const allowed = name === 'set' ? '0' : '';
    for (const number of numbers.filter((n) => n !== allowed)) {
      expect(request(`${name} ${number}`)).toBe(usage_of(name));
    }
  });

  it.each([
    'incr 5 6',
    'incr 5 on constructor',
    'incr 5 over',
    'incr 5 over -1s',
    'incr 5 over 25h',
    'incr 5 over 3x',
    'incr 5 graceful',
    'incr over 30s',
    'incr 5 in constructor',
    'incr 5 in 2nd',
    'incr 5 in a in b',
    'incr 5 in',
    'arrive',
    'arrive 10',
    'arrive -1/s',
    'arrive 10/s at_most',
    'arrive 10/s at_most 0',
    'arrive 10/s at_most 3 at_most 4',
    'arrive 10/s in 2nd',
    'arrive 10/s in a in b',
    'arrive 10/s in constructor',
    'arrive 10/s over in 3s',
    'arrive 10/s over 25h',
    'arrive 10/s on eu',
    'arrive 10/s poisson poisson',
    'set 5 graceful',
    'decr 5 graceful graceful',
    'rate',
    'rate 0',
    'rate 5/s',
    'rate 5 5/s',
    'rate say',
    'rate say 5',
    'rate say -5/s',
    'rate say 1e3/s',
    'rate say 1000001/s',
    'rate say 5/h',
    'rate say 5 /s',
    'rate say 5/s over',
    'rate say 5/s over 25h',
    'rate say 5/s over 1s over 2s',
    'rate say 5/s poisson poisson',
    'rate say 5/s evenly',
    'rate say 5/s in a',
    'rate a.b.c.d 5/s',
    'rate a..b 5/s',
    'rate .a 5/s',
    'rate 2nd 5/s',
    'connect-rate say 5/s',
    'connect-rate 5/s',
    'pause now',
    'status jsonx',
    'status json json',
    'wait within',
    'wait 5 within 25h',
    'wait 5 ready',
    'wait ready done',
    'annotate',
    'wait 5 over 3s',
    `mark ${'x'.repeat(201)}`,
    'retry',
    'retry all',
    'series 0',
    'series 3601',
    'series 10s',
    'series 10 20',
    'events 1001',
    'events all',
    'trace 5 301',
    'trace 5 0',
    'trace 5 0s',
    'trace 5 6m',
    'trace 5 -1s',
    'trace 5 soon',
    'trace 5 6 7',
    'stop later',
    'quit now',
    'help incr decr',
    'auth',
    'auth a b',
  ])('%s is not of that shape', (line) => {
    expect(request(line)).toBe(usage_of(line.split(' ')[0]!));
  });

  it.each([
    [
      'incr 10 over 25h',
      'incr N [in GROUP] [on LABEL] [over 30s]; N is a whole number from 1 to 10000000, a ramp takes at most 24h; units are ms, s, m and h, right behind the number',
    ],
    [
      'decr 0',
      'decr N [graceful] [in GROUP] [on LABEL] [over 30s]; N is a whole number from 1 to 10000000, a ramp takes at most 24h; units are ms, s, m and h, right behind the number',
    ],
    [
      'set 20000000',
      'set N [in GROUP] [on LABEL] [over 30s]; N is a whole number from 0 to 10000000, a ramp takes at most 24h; units are ms, s, m and h, right behind the number',
    ],
    [
      'wait 1 within 25h',
      'wait [ready | done] [N] [within 30s]; N is a whole number from 1 to 10000000, a wait takes at most 24h; units are ms, s, m and h, right behind the number',
    ],
    [
      'trace 1 301',
      'trace ID [30s]; ID is a whole number from 1 to 10000000, a trace takes more than 0s and at most 300s; units are ms, s, m and h, right behind the number',
    ],
    [`mark ${'x'.repeat(201)}`, 'mark [TEXT]; TEXT is at most 200 characters'],
    ['series 3601', 'series [SECONDS]; SECONDS is a whole number from 1 to 3600'],
    [
      'rate say 5/h',
      'rate ACTION N/s|N/m [over 30s] [poisson]; a rate is `100/s` (per second) or `100/m` (per minute): 0, or above 0 up to 1000000/s, with at most six decimals; a ramp takes at most 24h; units are ms, s, m and h, right behind the number',
    ],
    ['stop later', 'stop [now]'],
  ])('%s says what would do', (line, text) => expect(request(line)).toBe(`usage: ${text}`));

  it('helps with the name of a command it should help with', () => {
    expect(request('help icnr')).toBe('unknown command "icnr", did you mean "incr"?');
    expect(request('help foo')).toBe('unknown command "foo", help lists what there is');
    expect(request('help constructor')).toMatch(/^unknown/);
  });

  it('suggests the nearest command, and shows nothing a terminal would obey', () => {
    expect(request('icnr 5')).toBe('unknown command "icnr", did you mean "incr"?');
    expect(request('xyzzy')).toBe('unknown command "xyzzy", help lists what there is');
    expect(request('\u009b31m')).toBe('unknown command "\\x9b31m", help lists what there is');
    expect(request('x'.repeat(4000))).toBe(`unknown command "${'x'.repeat(40)}…", help lists what there is`);
  });

  it.each(['constructor', '__proto__', 'toString'])('knows no %s', (line) => expect(request(line)).toMatch(/^unknown/));
});

describe('complete', () => {
  it.each([
    ['', COMMANDS.map((row) => `${row.name} `), ''],
    ['st', ['status ', 'stop '], 'st'],
    ['IN', ['incr '], 'IN'],
    ['incr ', [], ''],
    ['incr 5 ', ['in ', 'on ', 'over '], ''],
    ['decr 5 ', ['graceful ', 'in ', 'on ', 'over '], ''],
    ['decr 5 graceful o', ['on ', 'over '], 'o'],
    ['set 5 on eu ', ['in ', 'over '], ''],
    ['set 5 in ', [], ''],
    ['set 5 over 3s in a ', ['on '], ''],
    ['incr 5 over ', [], ''],
    ['rate ', [], ''],
    ['rate say ', [], ''],
    ['rate say 5/s ', ['over ', 'poisson '], ''],
    ['rate say 5/s over ', [], ''],
    ['rate say 5/s over 3s p', ['poisson '], 'p'],
    ['rate over 5/s ', ['poisson '], ''],
    ['wait ', ['ready ', 'done ', 'within '], ''],
    ['wait ready ', ['within '], ''],
    ['load e', ['end '], 'e'],
    ['wait 5 w', ['within '], 'w'],
    ['wait within ', [], ''],
    ['stop ', ['now '], ''],
    ['retry ', ['fatal '], ''],
    ['status j', ['json '], 'j'],
    ['help li', ['limits '], 'li'],
    ['nothing ', [], ''],
  ])('%j', (line, hits, word) => expect(complete(line)).toEqual([hits, word]));
});

describe('help', () => {
  it('has a line for each command, or one', () => {
    expect(help_lines(null)).toHaveLength(COMMANDS.length);
    expect(help_lines('stop')).toEqual([
      'stop [now]  -- end the run: each client finishes its round first; now: at once',
    ]);
  });

  it('is what docs/console.md says, in the same order', () => {
    const docs = readFileSync(new URL('../../docs/console.md', import.meta.url), 'utf8');
    const rows = [...docs.matchAll(/^\| `([^`]+)` +\| (.*?) +\|$/gm)].map(([, usage, help]) => [
      usage!.replaceAll('\\|', '|'),
      help,
    ]);
    expect(rows).toEqual(COMMANDS.map((row) => [row.usage, row.help]));
  });
});
