import { describe, expect, it } from 'vitest';
import { aim, MAX_TARGET, seconds, with_acks, type Room } from '../../../src/swarm/plan/answers.ts';
import { account, members_of } from '../accounts.ts';

const LIMITS: Room = {
  capacity: 1000,
  why: 'open files 600 per process',
  per_member: 500,
  members: 2,
  more_by: '--workers',
  bounds: [],
};
const ROOMY = { ...LIMITS, capacity: 2 * MAX_TARGET };

describe('aim', () => {
  // asked, wanted, had, limits -> target, answer
  it.each<[string, [number, number, number, Room], number, string]>([
    ['what fits is the target', [10, 30, 20, LIMITS], 30, 'OK target 30'],
    ['all may go', [20, 0, 20, LIMITS], 0, 'OK target 0'],
    ['more than all: what there was', [50, -30, 20, LIMITS], 0, 'OK target 0 (asked 50, had 20)'],
    [
      'full: what fits, why and what helps',
      [1500, 1500, 0, LIMITS],
      1000,
      'OK target 1000 (asked 1500: open files 600 per process; try --workers 3)',
    ],
    [
      'full from a start: what there was, too',
      [800, 1300, 500, LIMITS],
      1000,
      'OK target 1000 (asked 800, had 500: open files 600 per process; try --workers 3)',
    ],
    [
      'nothing fits: an error, the target stays',
      [1, 1001, 1000, LIMITS],
      1000,
      'ERR limit_files nothing fits: target 1000 (asked 1: open files 600 per process; try --workers 3)',
    ],
    [
      'a swarm above what now fits does not shrink by growing',
      [1, 1201, 1200, LIMITS],
      1200,
      'ERR limit_files nothing fits: target 1200 (asked 1: open files 600 per process; try --workers 3)',
    ],
    [
      'more workers than there can be are not advised',
      [900_000, 900_000, 0, LIMITS],
      1000,
      'OK target 1000 (asked 900000: open files 600 per process)',
    ],
    [
      'the most there can be',
      [MAX_TARGET + 1, MAX_TARGET + 1, 0, ROOMY],
      MAX_TARGET,
      `OK target ${MAX_TARGET} (asked ${MAX_TARGET + 1}: at most ${MAX_TARGET} clients)`,
    ],
    [
      'beyond it nothing fits',
      [1, MAX_TARGET + 1, MAX_TARGET, ROOMY],
      MAX_TARGET,
      `ERR limit_clients nothing fits: target ${MAX_TARGET} (asked 1: at most ${MAX_TARGET} clients)`,
    ],
  ])('%s', (_, [asked, wanted, had, room], target, text) => {
    const { answer, ...result } = aim(asked, wanted, had, room);
    expect(result).toEqual({ target });
    expect(answer.ok ? `OK ${answer.text}` : `ERR ${answer.code} ${answer.text}`).toBe(text);
  });
});

describe('with_acks', () => {
  const { all } = members_of(['w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7']);

  it('says nothing when everybody acknowledged', () => {
    expect(with_acks('target 5', all, [], 0)).toBe('target 5');
  });

  it('says so when nobody is there', () => {
    expect(with_acks('target 5', [], [], 0)).toBe('target 5, but no worker is up');
  });

  it('names who is late, and since when', () => {
    const members = members_of(['w1', 'w2', 'w3']);
    members.accept('w2', account('w2-1', 0, { seq: 2 }), 1000, 0);
    members.depart(members.get('w3')!, 'w3-1', 'restarting', 0, 0);
    expect(with_acks('paused', members.all, members.all.slice(1), 4000)).toBe(
      'paused, 1 of 3 workers acknowledged (w2 silent 3 s, w3 restarting)',
    );
  });

  it('names five, and counts the rest', () => {
    expect(with_acks('paused', all, all, 0)).toMatch(/, 0 of 7 workers acknowledged \(w1 .*, w5 [^,]*, and 2 more\)$/);
  });
});

it.each([
  [10_000, '10 s'],
  [500, '0.5 s'],
  [1240, '1.2 s'],
])('%i ms are %s', (ms, text) => expect(seconds(ms)).toBe(text));
