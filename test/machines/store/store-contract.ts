/** What every {@link Store} keeps to, as tests: in memory, in a simulated world, on a real engine. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MAX_VALUE_BYTES, type Entry, type Store, type Written } from '../../../src/machines/store/store.ts';
import { PATIENCE_MS } from '../../patience.ts';

/** An engine that holds nothing yet. */
export interface Shared {
  /** a handle of its own, as of another process */
  open(): Promise<Store>;
  end(): Promise<void>;
}

function revision_of(written: Written): number {
  if (written.outcome !== 'done') throw new Error(`${written.outcome}, not done`);
  return written.revision;
}

/** Hints may take their time and be lost before a subscription stands: does `act` again until `seen`. */
async function until_seen(seen: () => boolean, act: () => Promise<void>): Promise<void> {
  await vi.waitFor(
    async () => {
      await act();
      if (!seen()) throw new Error('nothing seen');
    },
    { timeout: PATIENCE_MS, interval: 50 },
  );
}

/** Registers the tests; `make` is called before each. */
export function store_contract(make: () => Promise<Shared>): void {
  describe('the contract of a store', () => {
    let shared: Shared;
    let store: Store;
    let other: Store;
    beforeEach(async () => {
      shared = await make();
      [store, other] = await Promise.all([shared.open(), shared.open()]);
    });
    afterEach(async () => {
      await Promise.all([store.close(), other.close()]);
      await shared.end();
    });

    /** Writes a key anew, whatever is there. */
    async function overwrite(key: string, text: string): Promise<void> {
      revision_of(await other.put(key, text, (await other.get(key))?.revision ?? 0));
    }

    test('a key that was never written is null', async () => {
      expect(await store.get('plan')).toBeNull();
      expect(await store.list('plan')).toEqual([]);
    });

    test('creates once, and everyone reads it', async () => {
      const revision = revision_of(await store.put('plan', 'one', 0));
      expect(revision).toBeGreaterThan(0);
      expect(await other.put('plan', 'two', 0)).toEqual({ outcome: 'refused' });
      expect(await other.get('plan')).toEqual({ key: 'plan', text: 'one', revision });
    });

    test('of many that create at once one does', async () => {
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 ? store : other).put('lease', `${i}`, 0)),
      );
      const done = all.findIndex((written) => written.outcome === 'done');
      expect(all.map((written) => written.outcome).toSorted()).toEqual(['done', ...Array<string>(7).fill('refused')]);
      expect((await store.get('lease'))?.text).toBe(`${done}`);
    });

    test('updates at its revision only, which grows', async () => {
      const first = revision_of(await store.put('plan', 'one', 0));
      revision_of(await store.put('desired', 'between', 0));
      const second = revision_of(await other.put('plan', 'two', first));
      expect(second).toBeGreaterThan(first);
      expect(await store.put('plan', 'three', first)).toEqual({ outcome: 'refused' });
      expect(await store.put('plan', 'three', second + 1)).toEqual({ outcome: 'refused' });
      expect(await store.get('plan')).toEqual({ key: 'plan', text: 'two', revision: second });
    });

    test('refuses to update what does not exist', async () => {
      expect(await store.put('plan', 'one', 1)).toEqual({ outcome: 'refused' });
      expect(await store.get('plan')).toBeNull();
    });

    test('removes, then creates again with a revision that was not yet', async () => {
      const first = revision_of(await store.put('members.a', 'one', 0));
      await other.remove('members.a');
      expect(await store.get('members.a')).toBeNull();
      expect(await store.list('members.')).toEqual([]);
      expect(await store.put('members.a', 'two', first)).toEqual({ outcome: 'refused' });
      const again = revision_of(await store.put('members.a', 'three', 0));
      expect(again).toBeGreaterThan(first);
      expect(await other.get('members.a')).toEqual({ key: 'members.a', text: 'three', revision: again });
    });

    test('removes what does not exist, and once more', async () => {
      await store.remove('members.a');
      await store.remove('members.a');
      expect((await store.put('members.a', 'one', 0)).outcome).toBe('done');
    });

    test('lists the newest of all keys that begin so', async () => {
      const keys = ['members.a', 'members.b-2', 'membersx', 'results.a.i1', 'results.a.i2', 'results.b.i1', 'plan'];
      for (const key of keys) revision_of(await store.put(key, `old ${key}`, 0));
      for (const key of keys) await overwrite(key, `new ${key}`);
      const listed = async (prefix: string): Promise<string[]> => {
        const entries = await store.list(prefix);
        for (const entry of entries) expect(entry).toEqual(await store.get(entry.key));
        return entries.map((entry) => entry.text).toSorted();
      };
      expect(await listed('members.')).toEqual(['new members.a', 'new members.b-2']);
      expect(await listed('results.a.')).toEqual(['new results.a.i1', 'new results.a.i2']);
      expect(await listed('plan')).toEqual(['new plan']);
      expect(await listed('')).toEqual(keys.map((key) => `new ${key}`).toSorted());
    });

    test('tells a watcher what others write below its prefix, and nothing else', async () => {
      const seen: Entry[] = [];
      store.watch('members.', (entry) => seen.push(entry));
      let n = 0;
      await until_seen(
        () => seen.length > 0,
        async () => {
          await overwrite('plan', `${n}`);
          await overwrite('members.a', `${n++}`);
        },
      );
      const newest = await store.get('members.a');
      await vi.waitFor(() => expect(seen).toContainEqual(newest));
      expect(new Set(seen.map((entry) => entry.key))).toEqual(new Set(['members.a']));
    });

    test('tells a watcher of one key, of its own writes too', async () => {
      const seen: string[] = [];
      other.watch('plan', (entry) => seen.push(entry.key));
      await until_seen(
        () => seen.length > 0,
        () => overwrite('plan', 'one'),
      );
      expect(seen[0]).toBe('plan');
    });

    test('does not tell a watcher what was there before, nor after its end', async () => {
      revision_of(await store.put('members.old', 'one', 0));
      const [ended, seen]: [string[], string[]] = [[], []];
      const end = store.watch('members.', (entry) => ended.push(entry.key));
      end();
      end();
      store.watch('members.', (entry) => seen.push(entry.key));
      await until_seen(
        () => seen.length > 0,
        () => overwrite('members.a', 'two'),
      );
      expect(new Set(seen)).toEqual(new Set(['members.a']));
      expect(ended).toEqual([]);
    });

    test('takes a value of the greatest size, not one byte more', async () => {
      const greatest = 'é'.repeat(MAX_VALUE_BYTES / 2);
      const revision = revision_of(await store.put('bundle.1', greatest, 0));
      expect((await other.get('bundle.1'))?.text === greatest).toBe(true);
      expect(() => store.put('bundle.1', `${greatest}x`, revision)).toThrow(RangeError);
      expect((await store.get('bundle.1'))?.revision).toBe(revision);
    });

    test('keeps any text', async () => {
      const text = '"\\\u0000\n\t\u2028 üñï 😀 ';
      revision_of(await store.put('plan', text, 0));
      expect((await other.get('plan'))?.text).toBe(text);
      await overwrite('plan', '');
      expect((await store.get('plan'))?.text).toBe('');
    });

    test('nudges one agent, or all', async () => {
      const nudged: string[] = [];
      store.on_nudge('a', () => nudged.push('a'));
      store.on_nudge('b', () => nudged.push('b'));
      await until_seen(
        () => nudged.length > 0,
        async () => other.nudge('b'),
      );
      expect(nudged).not.toContain('a');
      await until_seen(
        () => nudged.includes('a'),
        async () => other.nudge(null),
      );
    });

    test('nudges nobody who no longer listens', async () => {
      const nudged: string[] = [];
      store.on_nudge('a', () => nudged.push('ended'))();
      store.on_nudge('a', () => nudged.push('listens'));
      await until_seen(
        () => nudged.length > 0,
        async () => other.nudge('a'),
      );
      expect(nudged).not.toContain('ended');
    });

    test('keeps what is appended for a run, once for each id', async () => {
      for (const id of ['one', 'two', 'one']) expect(await store.append('r1', 'a', id, `a ${id}`)).toBe(true);
      expect(await other.append('r1', 'b', 'three', 'b three')).toBe(true);
      expect(await other.append('r2', 'a', 'four', 'a four')).toBe(true);
      const of_a = (await other.appended('r1')).filter(({ agent }) => agent === 'a');
      expect(of_a).toEqual([
        { agent: 'a', text: 'a one' },
        { agent: 'a', text: 'a two' },
      ]);
      expect(await store.appended('r1')).toHaveLength(3);
      expect(await store.appended('r2')).toEqual([{ agent: 'a', text: 'a four' }]);
      expect(await store.appended('r3')).toEqual([]);
      expect(await store.list('')).toEqual([]);
    });

    test('a closed store tells nothing, writes nothing and reads nothing', async () => {
      const closed = await shared.open();
      const seen: string[] = [];
      closed.watch('', () => seen.push('closed'));
      store.watch('', () => seen.push('open'));
      await closed.close();
      await until_seen(
        () => seen.length > 0,
        () => overwrite('plan', 'one'),
      );
      expect(seen).not.toContain('closed');
      expect((await closed.put('desired', 'one', 0)).outcome).toBe('unknown');
      await closed.remove('plan');
      await expect(closed.get('plan')).rejects.toThrow();
      await expect(closed.list('')).rejects.toThrow();
      expect(await closed.append('r1', 'a', 'one', 'one')).toBe(false);
      await expect(closed.appended('r1')).rejects.toThrow();
      expect((await store.list('')).map((entry) => entry.key)).toEqual(['plan']);
    });
  });
}
