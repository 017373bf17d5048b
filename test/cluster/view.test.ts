import { describe, expect, it } from 'vitest';
import { first_desired } from '../../src/cluster/desired.ts';
import type { Presence, RunHeader, SwarmPlan } from '../../src/cluster/documents.ts';
import { first_plan } from '../../src/cluster/leader.ts';
import { LeaseKeeper } from '../../src/cluster/lease.ts';
import { View } from '../../src/cluster/view.ts';
import { MemoryEngine } from './sim/memory-store.ts';

const RUN = { id: 'r1', isolation_ms: 3000 } as unknown as RunHeader;
const PLAN = first_plan(RUN, first_desired('r1', 1, false), 1, 'first', null);

class Bench {
  readonly engine = new MemoryEngine();
  now = 0;
  readonly view: View;
  #seq = 0;

  constructor() {
    const timers = { now: () => this.now, wall: () => 0, every: () => () => {} };
    const store = this.engine.store();
    const about = () => ({ console: '', host: '', run: null, run_ms: null, plan: null });
    const lease = new LeaseKeeper({ store, timers, id: 'c', ttl_ms: 1000, margin_ms: 100, about });
    this.view = new View(store, timers, lease, () => {});
  }

  put(key: string, document: unknown): void {
    this.engine.put(key, JSON.stringify(document), this.engine.get(key)?.revision ?? 0, 'test');
  }

  /** What agent a says, a little later each time. */
  tell(): void {
    const presence: Partial<Presence> = { incarnation: 'a-1', replaces: [], seq: ++this.#seq, labels: [], wall_ms: 0, run_ms: null, ready: null }; // prettier-ignore
    this.put('members.a', presence);
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
    bench.put('plan', { ...PLAN, members: { a: { incarnation: 'a-1' } } });
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
    ['was written anew by another', (bench) => bench.put('plan', { ...PLAN, epoch: 'second', term: 2 } satisfies SwarmPlan)], // prettier-ignore
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
