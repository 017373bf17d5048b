import { describe, expect, it } from 'vitest';
import { first_desired } from '../../../src/machines/coordinator/desired.ts';
import { first_plan } from '../../../src/machines/coordinator/leader.ts';
import { View } from '../../../src/machines/coordinator/view.ts';
import { plan_text, type SwarmPlan } from '../../../src/machines/store/documents.ts';
import { LeaseKeeper } from '../../../src/machines/store/lease.ts';
import { Refusals } from '../../../src/machines/store/refusals.ts';
import { MAX_HISTOGRAMS } from '../../../src/metrics/packed.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { a_head, A_PART, GOOD, HEADER, part_text, PRESENCE, SHARE } from '../store/good-documents.ts';
import { GROUPS } from '../../swarm/specs.ts';

const PLAN = first_plan(HEADER, first_desired('r1', 1, false), 1, 'first', null, GROUPS);

class Bench {
  readonly engine = new MemoryEngine();
  now = 0;
  readonly said: string[] = [];
  readonly view: View;
  #seq = 0;

  constructor() {
    const timers = { now: () => this.now, wall: () => 0, every: () => () => {} };
    const store = this.engine.store();
    const about = () => ({ console: '', host: '', run: null, run_ms: null, plan: null });
    const lease = new LeaseKeeper({ store, timers, id: 'c', ttl_ms: 1000, margin_ms: 100, about });
    const refusals = new Refusals((author, text) => this.said.push(`${author} ${text}`));
    this.view = new View(store, timers, lease, () => {}, refusals);
  }

  put(key: string, document: unknown): void {
    this.write(key, key === 'plan' ? plan_text(document as SwarmPlan) : JSON.stringify(document));
  }

  write(key: string, text: string): void {
    this.engine.put(key, text, this.engine.get(key)?.revision ?? 0, 'test');
  }

  /** What agent a says, a little later each time. */
  tell(): void {
    this.put('members.a', { ...PRESENCE, incarnation: 'a-1', seq: ++this.#seq, ready: null });
  }

  async look_at(ms: number): Promise<void> {
    this.now = ms;
    await this.view.look();
  }

  get silent_ms(): number {
    return this.view.silent_ms('a', 'a-1');
  }
}

describe('silence', () => {
  it('counts from the last word that came to the last time somebody asked for one', async () => {
    const bench = new Bench();
    bench.put('plan', { ...PLAN, members: { a: { ...SHARE, incarnation: 'a-1' } } });
    bench.tell();
    await bench.look_at(1000);
    for (let ms = 2000; ms <= 6000; ms += 1000) await bench.look_at(ms);
    bench.now = 9000;
    expect(bench.silent_ms).toBe(5000);
    bench.tell();
    await bench.look_at(9500);
    expect(bench.silent_ms).toBe(0);
  });

  it.each<[string, (bench: Bench) => void]>([
    ['lost its memory', () => {}],
    [
      'was written anew by another',
      (bench) => bench.put('plan', { ...PLAN, epoch: 'second', term: 2 } satisfies SwarmPlan),
    ],
  ])('begins again once the store %s: what was told last may be lost with it', async (_, then) => {
    const bench = new Bench();
    bench.put('plan', PLAN);
    bench.tell();
    for (let ms = 1000; ms <= 3500; ms += 500) await bench.look_at(ms);
    bench.engine.wipe();
    then(bench);
    await bench.look_at(4500);
    expect(bench.silent_ms).toBe(0);
    for (let ms = 5000; ms <= 6000; ms += 200) await bench.look_at(ms);
    expect(bench.silent_ms).toBeGreaterThan(1000);
    expect(bench.silent_ms).toBeLessThanOrEqual(1500);
  });
});

describe('a document that cannot be read', () => {
  const BAD = ['', '{', 'null', '[]', '{"x":1}', '{"run":"r1","seq":1}', '1e300'];

  it('of an agent is refused: what was known stays, and it is said once', async () => {
    const bench = new Bench();
    bench.put('plan', { ...PLAN, members: { a: { ...SHARE, incarnation: 'a-1' } } });
    bench.tell();
    await bench.look_at(1000);
    const known = bench.view.members.get('a')!.doc;
    for (const [i, text] of BAD.entries()) {
      bench.write('members.a', text);
      bench.write('results.a.a-1', text);
      await bench.look_at(2000 + i * 1000);
      expect(bench.view.members.get('a')!.doc).toEqual(known);
      expect(bench.view.results_of('a', 'a-1')).toBe(null);
      expect(bench.view.refusals.of('a')).toMatch(/presence: .*results: /);
      expect(await bench.view.look()).toBe(true);
    }
    expect(bench.said).toEqual([
      expect.stringMatching(/^a what is stored as presence is refused: /),
      expect.stringMatching(/^a what is stored as results is refused: /),
    ]);
    bench.tell();
    bench.write('results.a.a-1', GOOD.results);
    // its part came before, or never by itself
    bench.write('latencies.a.a-1.0', GOOD.part);
    await bench.look_at(20_000);
    await bench.look_at(21_000);
    expect(bench.view.refusals.of('a')).toBe(null);
    expect(bench.view.results_of('a', 'a-1')).toMatchObject({ seq: 12 });
  });

  it('counts no less than before, from the same incarnation', async () => {
    const bench = new Bench();
    bench.write('results.a.a-1', GOOD.results);
    bench.write('latencies.a.a-1.0', GOOD.part);
    await bench.look_at(1000);
    const less = JSON.parse(GOOD.results) as {
      seq: number;
      snapshot: { groups: { main: { requests: { sent: number } } } };
    };
    less.seq++;
    less.snapshot.groups.main.requests.sent--;
    bench.put('results.a.a-1', less);
    await bench.view.read('results.a.a-1');
    expect(bench.view.results_of('a', 'a-1')).toMatchObject({ seq: 12 });
    expect(bench.view.refusals.of('a')).toBe('results: main.sent is less than it was');
  });

  it('counts of a worker that died are those of the dead from then on', async () => {
    const bench = new Bench();
    bench.tell();
    bench.write('results.a.a-1', GOOD.results);
    bench.write('latencies.a.a-1.0', GOOD.part);
    await bench.look_at(1000);
    await bench.look_at(2000);
    const histograms = A_PART.histograms.map(([number, one]) => [MAX_HISTOGRAMS + number, one] as const);
    bench.put('results.a.a-1', { ...a_head(), seq: 13, parts: [13] });
    bench.write('latencies.a.a-1.0', part_text({ ...A_PART, seq: 13, histograms }));
    await bench.look_at(4000);
    await bench.look_at(6000);
    expect(bench.view.refusals.of('a')).toBe(null);
    expect(bench.view.results_of('a', 'a-1')).toMatchObject({
      seq: 13,
      dead: { snapshot: { groups: { main: { connections: { connect: A_PART.histograms[0]![1] } } } } },
    });
  });

  it('of a leader is refused, and its revision is known to who writes it anew', async () => {
    const bench = new Bench();
    bench.put('plan', PLAN);
    await bench.look_at(1000);
    for (const text of BAD) {
      bench.write('plan', text);
      bench.write('desired', text);
      bench.write('lease', text);
      await bench.view.read('plan');
      await bench.view.read('desired');
      await bench.view.read('lease');
      expect(bench.view.plan!.doc).toEqual(PLAN);
      expect(bench.view.is_wiped).toBe(false);
      expect(bench.view.spoiled).toEqual({
        plan: bench.engine.get('plan')!.revision,
        desired: bench.engine.get('desired')!.revision,
      });
    }
    bench.put('plan', { ...PLAN, revision: 2 });
    await bench.view.read('plan');
    expect(bench.view.spoiled.plan).toBe(0);
    expect(bench.view.refusals.agents).toEqual([]);
  });

  it('says nothing for its author: one agent alone does not say how far the run is', async () => {
    const bench = new Bench();
    bench.put('plan', { ...PLAN, run_ms: 0 });
    for (const agent of ['a', 'b', 'c'])
      bench.put(`members.${agent}`, { ...PRESENCE, run_ms: agent === 'b' ? 1e11 : 5000 });
    await bench.look_at(1000);
    expect(bench.view.run_ms).toBe(5000);
  });
});
