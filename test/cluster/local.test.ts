import { describe, expect, it } from 'vitest';
import { local_pair } from '../../src/cluster/local.ts';
import { fold_reports } from '../../src/cluster/outbox.ts';
import type { Note, Plan, Report } from '../../src/swarm/plan.ts';

const plan = (revision: number): Plan => ({ revision }) as Plan;
const report = (seq: number, notes: Note[] = [], traces: Report['traces'] = []): Report =>
  ({ seq, notes, notes_dropped: 0, traces }) as unknown as Report;
const note = (text: string): Note => ({ level: 'info', text });
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('local pair', () => {
  it('delivers in a later turn, of what waits only the newest', async () => {
    const { hub, seat } = local_pair('w1');
    const plans: number[] = [];
    const reports: [string, number][] = [];
    seat.onPlan(({ revision }) => plans.push(revision));
    hub.onReport((member, { seq }) => reports.push([member, seq]));
    for (let i = 1; i <= 5; i++) {
      hub.publish(plan(i));
      seat.report(report(i));
    }
    expect([plans, reports]).toEqual([[], []]);
    await turns();
    expect([plans, reports]).toEqual([[1, 5], [['w1', 1], ['w1', 5]]]); // prettier-ignore
  });

  it('delivers nothing once the hub is closed', async () => {
    const { hub, seat } = local_pair('w1');
    const seen: string[] = [];
    seat.onPlan(() => seen.push('plan'));
    hub.publish(plan(1));
    expect(await hub.close(100)).toEqual([]);
    await turns();
    expect(seen).toEqual([]);
  });

  it('a seat that closed hears and says nothing', async () => {
    const { hub, seat } = local_pair('w1');
    const seen: unknown[] = [];
    seat.onPlan((plan) => seen.push(plan));
    hub.onReport((_, report) => seen.push(report));
    await seat.close();
    hub.publish(plan(1));
    seat.report(report(1));
    await turns();
    expect(seen).toEqual([]);
  });
});

describe('fold_reports', () => {
  it('keeps the numbers of the newer, notes and trace lines of both', () => {
    const older = report(1, [note('a')], [{ token: 't', lines: ['1'] }]);
    const newer = report(
      2,
      [note('b')],
      [
        { token: 't', lines: ['2'] },
        { token: 'u', lines: ['3'] },
      ],
    );
    expect(fold_reports(older, newer)).toMatchObject({
      seq: 2,
      notes: [note('a'), note('b')],
      traces: [{ token: 't', lines: ['1', '2'] }, { token: 'u', lines: ['3'] }],
    }); // prettier-ignore
  });

  it('stays bounded however long nothing leaves', () => {
    let waiting = report(0);
    for (let i = 1; i <= 100; i++) waiting = fold_reports(waiting, report(i, [note('x')], [{ token: 't', lines: Array<string>(10).fill('l') }])); // prettier-ignore
    expect(waiting.notes).toHaveLength(50);
    expect(waiting.traces[0]!.lines).toHaveLength(200);
  });
});
