import { describe, expect, it } from 'vitest';
import * as answers from '../../src/outputs/tables.ts';
import { action, summary } from '../console/fakes.ts';

const OBEYED = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/;
const HOSTILE = '\x1b[2J\r\nOK 5\u009b31m\u2028\u202e';

describe('status', () => {
  it('says target, planned, live, open and the states as the original did', () => {
    expect(answers.status_lines(summary())).toEqual([
      'run, 20.0 s since the start, servers 127.0.0.1:7000',
      'target 100, planned 90, live 90 (draining 0), open 88 (peak 90), ready 86, connect rate 1000 per second',
      'Realtime: total: 90, connect: 2, acting: 38, standby: 50',
      'Aggregates: initial: 95, connect: 95, acting: 200, standby: 150, killed: 5',
      'connections: attempted 96, failed 1, established 93, closed 5',
      'requests: sent 1000, ok 980, wrong 2, timeout 8, aborted 0, noreply 20',
      'bytes: sent 11000, received 9000',
      'generator: cpu 0.25 cores, memory 64.0 MiB, lag p99 1.25 ms',
    ]);
  });

  it('says how many are done when some are', () => {
    const clients = { ...summary().clients, finished: 7 };
    expect(answers.status_lines(summary({ clients }))[1]).toContain('live 90 (draining 0), finished 7, open 88');
  });

  it('names the segment', () => {
    const run = { ...summary().run, segment: '2/5' };
    expect(answers.status_lines(summary({ run }))[0]).toBe(
      'run, 20.0 s since the start, segment 2/5, servers 127.0.0.1:7000',
    );
  });

  it('begins with how old its figures are while the engine is away, and ends with what waits for what', () => {
    const engine_away = { since: '2026-11-22T00:00:10.000Z', figures_of: '2026-11-22T00:00:11.000Z' };
    const waiting = [
      { clients: 10, label: `eu${HOSTILE}` },
      { clients: 7, label: null },
    ];
    const lines = answers.status_lines(summary({ engine_away, waiting }));
    expect(lines[0]).toBe('engine away since 2026-11-22T00:00:10.000Z, figures of 2026-11-22T00:00:11.000Z');
    expect(lines.slice(-2)).toEqual([
      expect.stringMatching(/^waiting: 10 clients for an agent with the label eu.* that has room$/),
      'waiting: 7 clients for more agents',
    ]);
    for (const line of lines) expect(line).not.toMatch(OBEYED);
  });

  it('says empty where nothing is', () => {
    const clients = {
      ...summary().clients,
      live: 0,
      states: { ...summary().clients.states, connect: 0, acting: 0, standby: 0 },
    };
    expect(answers.status_lines(summary({ clients }))[2]).toBe('Realtime: total: 0, empty');
  });

  it('is the summary as JSON on one line, without a character a terminal obeys', () => {
    const now = summary({ errors: [{ code: 'x', count: 1, last: HOSTILE, last_at: 'now' }] });
    const json = answers.status_json(now);
    expect(json).not.toMatch(OBEYED);
    expect(JSON.parse(json)).toEqual(now);
  });
});

describe('actions', () => {
  it('are an aligned table since the start', () => {
    expect(answers.action_lines(summary({ actions: [action(0, 'a', 0.25), action(-1, 'connected', 123.4)] }))).toEqual([
      'since the start, 20.0 s; service and response in ms',
      'action     started  running  ok  failed  aborted  service p50    p90    p95   p99   max  response p50    p90    p95   p99   max',
      '0 a             12        1  10       1        0        0.250  0.500  0.750  1.00  1.50         0.250  0.500  0.750  1.00  1.50',
      'connected       12        1  10       1        0          123    247    370   494   740           123    247    370   494   740',
    ]);
  });

  it('are called by group, loop and name where a script has them', () => {
    const actions = [
      action(0, 'say'),
      { ...action(1, 'say'), action: 'aside' },
      { ...action(0, 'say'), group: 'listeners', loop: 'beat' },
      { ...action(1, 'say'), group: 'listeners', loop: 'beat', action: `x${HOSTILE}` },
      { ...action(-1, 'connected'), group: 'listeners' },
    ];
    const [, , ...rows] = answers.action_lines(summary({ actions }));
    expect(rows.map((row) => row.split('  ')[0])).toEqual([
      '0 say',
      '1 aside',
      '0 listeners.beat.say',
      expect.stringMatching(/^1 listeners\.beat\.x\\x1b/),
      'listeners.connected',
    ]);
    expect(rows.join('')).not.toMatch(OBEYED);
  });

  it('are counted since the mark when there is one, and say so', () => {
    const mark = { text: `up${HOSTILE}`, at: '2026-11-22T00:00:10.000Z', seconds: 10, actions: [action(0, 'b')] };
    const [head, , row] = answers.action_lines(summary({ mark }));
    expect(head).toMatch(/^since the mark "up\\x1b\[2J.*" at 2026-11-22T00:00:10.000Z, 10.0 s; /);
    expect(head).not.toMatch(OBEYED);
    expect(row).toMatch(/^0 b /);
  });
});

describe('errors', () => {
  it('are none, or a table', () => {
    expect(answers.error_lines(summary())).toEqual([]);
    const errors = [
      { code: 'timeout', count: 12, last: 'no reply', last_at: '2026-11-22T00:00:10.000Z' },
      {
        code: 'wrong_reply',
        count: 3,
        last: HOSTILE.repeat(100),
        last_at: '2026-11-22T00:00:11.000Z',
        sample: HOSTILE,
      },
    ];
    const lines = answers.error_lines(summary({ errors }));
    expect(lines.slice(0, 2)).toEqual([
      'code         count  last at                   last text',
      'timeout         12  2026-11-22T00:00:10.000Z  no reply',
    ]);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).not.toMatch(OBEYED);
    expect(lines[2]!.length).toBeLessThan(2500);
  });
});

describe('workers and limits', () => {
  it('says that the console shares its process with the clients when there are no workers', () => {
    const [worker] = summary().workers;
    expect(answers.limit_lines(summary({ workers: [{ ...worker!, id: 'local' }] })).at(-1)).toMatch(/--workers 1/);
    expect(answers.limit_lines(summary()).join()).not.toMatch(/--workers 1/);
  });

  it('show each process and what bounds the swarm', () => {
    expect(answers.worker_lines(summary())).toEqual([
      'worker  state  pid  live  open  capacity   cpu    memory  lag p99 ms  silent ms',
      'w1      up      42    90    88      1000  0.25  64.0 MiB        1.25        120',
    ]);
    expect(answers.limit_lines(summary())).toEqual([
      'capacity 19900 clients: open files 20000 per process',
      'open files 20000 per process, 100 of them reserved for swarm itself',
    ]);
    const bounds = [
      {
        code: 'limit_files',
        what: 'open files',
        connections: 19_900,
        hard: true,
        why: 'soft 20000',
        lift: '--workers 2',
      },
      { code: 'limit_memory', what: 'memory', connections: 2_000_000, hard: false, why: '23.0 GB free', lift: 'more' },
    ];
    expect(answers.limit_lines(summary({ limits: { ...summary().limits, bounds } })).slice(2)).toEqual([
      'what        connections  why           to lift it',
      'open files        19900  soft 20000    --workers 2',
      'memory         ~2000000  23.0 GB free  more',
    ]);
  });
});

describe('ms', () => {
  it.each([
    [0, '0'],
    [0.0341, '0.034'],
    [4.213, '4.21'],
    [56.78, '56.8'],
    [1234.5, '1235'],
  ])('%d is %s', (value, text) => expect(answers.ms(value)).toBe(text));
});
