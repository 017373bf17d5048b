import { describe, expect, it } from 'vitest';
import { STALLED_AFTER_MS } from '../../../src/swarm/squad/members.ts';
import { main_lost, main_of } from '../../metrics/one-group.ts';
import { account, members_of } from '../accounts.ts';

const WALL = Date.UTC(2026, 0, 1);

describe('Members', () => {
  it('starts with nobody up, and knows a member by its hello', () => {
    const members = members_of(['w1', 'w2'], false);
    expect([members.up.length, members.capacity]).toEqual([0, 0]);
    expect(members.all.map((member) => member.state(0))).toEqual(['starting', 'starting']);
    members.accept('w1', account('a', 3), 0, 0);
    expect(members.up.map(({ id }) => id)).toEqual(['w1']);
    expect(members.capacity).toBe(1000);
    expect(members.get('w1')!.summary(250)).toMatchObject({
      incarnation: 'a',
      pid: 100,
      live: 3,
      open: 3,
      silent_ms: 250,
      state: 'up',
    });
    expect(members.get('w3')).toBeUndefined();
  });

  it('takes no report that is repeated, out of order, of a dead process or of a stranger', () => {
    const members = members_of(['w1'], false);
    expect(members.accept('w1', account('a', 1, { seq: 2 }), 0, 0)).not.toBeNull();
    expect(members.accept('w1', account('a', 5, { seq: 2 }), 0, 0)).toBeNull();
    expect(members.accept('w1', account('a', 5, { seq: 1 }), 0, 0)).toBeNull();
    expect(members.accept('w9', account('a', 5), 0, 0)).toBeNull();
    expect(members.get('w1')!.live).toBe(1);
    members.depart(members.get('w1')!, 'a', 'restarting', 0, 0);
    expect(members.accept('w1', account('a', 5, { seq: 3 }), 0, 0)).toBeNull();
    expect(members.up).toEqual([]);
  });

  it('knows which revision a living process has applied', () => {
    const members = members_of(['w1']);
    const member = members.get('w1')!;
    members.accept('w1', account('w1-1', 0, { seq: 2, revision: 7 }), 0, 0);
    expect([7, 8].map((revision) => member.has_applied(revision))).toEqual([true, false]);
    members.depart(member, 'w1-1', 'restarting', 0, 0);
    expect(member.has_applied(7)).toBe(false);
  });

  it('calls a member stalled that is silent for long, until it speaks again', () => {
    const members = members_of(['w1']);
    const state = (now: number): string => members.get('w1')!.state(now);
    expect([state(STALLED_AFTER_MS), state(STALLED_AFTER_MS + 1)]).toEqual(['up', 'stalled']);
    members.accept('w1', account('w1-1', 0, { seq: 2 }), 9000, 0);
    expect(state(9000)).toBe('up');
  });

  it('remembers the highest numbers of the whole swarm', () => {
    const members = members_of(['w1', 'w2']);
    members.accept('w1', account('w1-1', 5, { seq: 2 }), 0, 0);
    members.accept('w2', account('w2-1', 4, { seq: 2 }), 0, 0);
    members.accept('w1', account('w1-1', 1, { seq: 3 }), 0, 0);
    expect(members.peaks).toEqual({ live: 9, open: 9 });
    expect(members.peaks_of('main')).toEqual({ live: 9, open: 9 });
  });

  it('adds the groups of a member, and remembers the highest numbers of each', () => {
    const members = members_of(['w1', 'w2']);
    const report = (id: string, seq: number, talkers: number, listeners: number): void => {
      const group = (live: number) => main_of(account('', live).snapshot);
      const snapshot = { ...account('').snapshot, groups: { talkers: group(talkers), listeners: group(listeners) } };
      members.accept(id, account(`${id}-1`, 0, { seq, snapshot }), 0, 0);
    };
    report('w1', 2, 5, 1);
    report('w2', 2, 1, 3);
    expect(members.all.map(({ live, open }) => [live, open])).toEqual([
      [6, 6],
      [4, 4],
    ]);
    report('w1', 3, 1, 2);
    expect(members.peaks_of('talkers')).toEqual({ live: 6, open: 6 });
    expect(members.peaks_of('listeners')).toEqual({ live: 5, open: 5 });
    expect(members.peaks).toEqual({ live: 10, open: 10 });
    members.depart(members.get('w1')!, 'w1-1', 'restarting', 0, 0);
    expect(Object.entries(members.dead.lost).map(([name, { clients }]) => [name, clients])).toEqual([
      ['talkers', 1],
      ['listeners', 2],
    ]);
  });

  it('keeps what a dead process measured, and counts what it held as lost', () => {
    const members = members_of(['w1', 'w2']);
    members.accept('w1', account('w1-1', 5, { seq: 2 }), 1000, WALL);
    members.depart(members.get('w1')!, 'w1-1', 'restarting', 3500, WALL);
    expect(main_lost(members.dead.lost)).toMatchObject({ clients: 5, open: 5 });
    expect(main_of(members.dead.snapshot).clients.created).toBe(5);
    expect(members.dead.workers).toEqual([
      { worker: 'w1', incarnation: 'w1-1', at: '2026-01-01T00:00:00.000Z', silent_ms: 2500 },
    ]);
    expect(members.get('w1')).toMatchObject({ live: 0, open: 0, account: null });
    expect(members.snapshots).toHaveLength(1);
  });

  it('misses nothing of one that never held a client and was not told to', () => {
    for (const [created, may, lost] of [
      [0, 0, 0],
      [5, 0, 1],
      [0, 5, 1],
    ] as const) {
      const members = members_of(['w1']);
      const member = members.get('w1')!;
      if (created > 0) members.accept('w1', account('w1-1', created, { seq: 2 }), 0, 0);
      if (may > 0) member.parts[0]!.outstanding.add(1, may);
      members.depart(member, 'w1-1', 'restarting', 0, 0);
      expect(members.dead.workers).toHaveLength(lost);
    }
  });

  it('keeps the share of one that restarts, and takes it from one that was given up', () => {
    const members = members_of(['w1', 'w2']);
    const [first, second] = members.all as [(typeof members.all)[0], (typeof members.all)[0]];
    first.parts[0]!.share = second.parts[0]!.share = 50;
    members.depart(first, 'w1-1', 'restarting', 0, 0);
    members.depart(second, 'w2-1', 'given_up', 0, 0);
    expect([first.parts[0]!.share, first.capacity, first.is_out]).toEqual([50, 1000, false]);
    expect([second.parts[0]!.share, second.capacity, second.is_out]).toEqual([0, 0, true]);
    expect(members.expected).toEqual([first]);
    expect([first.absent, second.absent]).toEqual(['restarting', 'given up']);
  });

  it('buries the old process when a new one reports before the death is known, and not the new one when it is', () => {
    const members = members_of(['w1']);
    members.accept('w1', account('w1-1', 5, { seq: 2 }), 0, 0);
    expect(members.accept('w1', account('w1-2', 2), 0, 0)).not.toBeNull();
    expect(main_lost(members.dead.lost).clients).toBe(5);
    members.depart(members.get('w1')!, 'w1-1', 'restarting', 0, 0);
    expect(members.get('w1')!.live).toBe(2);
    expect(members.dead.workers).toHaveLength(1);
  });

  it('forgets what a dead process was ordered', () => {
    const members = members_of(['w1']);
    const member = members.get('w1')!;
    member.parts[0]!.outstanding.add(1, 500);
    expect(member.may).toBe(500);
    members.depart(member, 'w1-1', 'restarting', 0, 0);
    expect(member.may).toBe(0);
  });
});
