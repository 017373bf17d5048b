/** How a coordinator begins a run at an engine that answers late. What it does later is played in sim/. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { CLOCK } from '../../../src/foundation/clock.ts';
import { ManyCoordinator } from '../../../src/machines/coordinator/many-coordinator.ts';
import type { Bundle, RunHeader } from '../../../src/machines/store/documents.ts';
import type { Store, Written } from '../../../src/machines/store/store.ts';
import { run_of } from '../../swarm/specs.ts';
import { MemoryEngine } from '../sim/memory-store.ts';

const RUN: RunHeader = {
  id: 'r1',
  swarm: 'test',
  bundle_sha256: '00',
  isolation_ms: 3000,
  agents: 0,
  signature: '',
  started: '2026-01-01T00:00:00Z',
};
const BUNDLE: Bundle = {
  module_text: '',
  has_setup: false,
  has_teardown: false,
  script_sha256: '',
  run: run_of({ id: 'r1' }),
};

let joined: ManyCoordinator | null = null;
afterEach(() => joined?.close());

/** A store whose answers of such numbers come too late: what was asked for may have happened all the same. */
function late(store: Store, numbers: ReadonlySet<number>): Store {
  let asked = 0;
  const answer = async <T>(value: Promise<T>, instead: () => T): Promise<T> => {
    const is_late = numbers.has(++asked);
    const given = await value;
    return is_late ? instead() : given;
  };
  const timeout = (): never => {
    throw new Error('timeout');
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'get') return (key: string) => answer(target.get(key), timeout);
      if (name === 'list') return (prefix: string) => answer(target.list(prefix), timeout);
      if (name === 'put')
        return (key: string, text: string, revision: number) =>
          answer(target.put(key, text, revision), (): Written => ({ outcome: 'unknown', reason: 'timeout' }));
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const start = async (store: Store, within_ms: number): Promise<void> => {
  joined = new ManyCoordinator({
    store,
    timers: CLOCK,
    id: 'c1',
    host: 'here',
    console: () => 'here',
    lease_ms: 1000,
    gather_ms: 1000,
    only_looks: false,
    max_connections: null,
    max_connect_per_s: null,
    versions: {} as never,
    on_note: () => {},
  });
  await joined.start(RUN, BUNDLE, 1000, false, within_ms);
};

describe('the start of a run', () => {
  test('goes on whichever answers of the engine come late', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }), async (numbers) => {
        const engine = new MemoryEngine();
        await start(late(engine.store('c1'), new Set(numbers)), 60_000);
        expect(JSON.parse(engine.get('plan')!.text)).toMatchObject({ run: { id: 'r1' } });
        expect(JSON.parse(engine.get('desired')!.text)).toMatchObject({ target: 0, connect_per_s: 1000 });
        await joined!.close();
      }),
      { numRuns: 15 },
    );
  });

  test('that nobody answers ends with what to do about it', async () => {
    const never = new Set(Array.from({ length: 10_000 }, (_, i) => i + 1));
    await expect(start(late(new MemoryEngine().store('c1'), never), 500)).rejects.toMatchObject({
      code: 'engine_lost',
      message: expect.stringContaining('timeout') as string,
    });
  });
});
