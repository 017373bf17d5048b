import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command, Reply } from '../../src/grammar/command.ts';
import { exit_code, start_load } from '../../src/launch/load-run.ts';
import type { LoadSummary, Summary } from '../../src/metrics/summary.ts';

const AWAY: Reply = { ok: false, code: 'engine_away', away_ms: null };
const LOST: Reply = { ok: false, code: 'unknown', lost: false, away_ms: null };
const OK = { ok: true, op: 'pause', followers: null } as const satisfies Reply;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Begins a load on a swarm that answers at once, `replies` in turn and then the last of them again. */
async function started(replies: readonly Reply[], plays: () => boolean = () => false) {
  const asked: { readonly at: number; readonly op: Command['op'] }[] = [];
  const said: string[] = [];
  const note = (text: string): unknown => said.push(text);
  const apply = async ({ op }: Command): Promise<Reply> => {
    asked.push({ at: performance.now(), op });
    return replies[Math.min(asked.length, replies.length) - 1]!;
  };
  const swarm = { apply, load: () => (plays() ? ({} as LoadSummary) : null) };
  const begun = start_load(swarm as never, { text: 'hold 1s', by: 'a test' }, { warn: note, error: note } as never);
  await vi.advanceTimersByTimeAsync(3_600_000);
  return { is_played: await begun, asked, said };
}

describe('a load that nobody answers for', () => {
  it('is asked for again, a second apart, until somebody does', async () => {
    const { is_played, asked } = await started([AWAY, LOST, AWAY, OK]);
    expect(is_played).toBe(true);
    expect(asked.map(({ op }) => op)).toEqual(['load', 'load', 'load', 'load']);
    expect(asked.every(({ at }, i) => i === 0 || at - asked[i - 1]!.at >= 1000)).toBe(true);
  });

  it('is given up after five minutes, and the end that it asks for too: the log says what to do', async () => {
    const { is_played, asked, said } = await started([AWAY]);
    expect(is_played).toBe(false);
    expect(asked.filter(({ op }) => op === 'load').length).toBeLessThanOrEqual(301);
    expect(asked.filter(({ op }) => op === 'stop').length).toBeLessThanOrEqual(301);
    expect(said.filter((text) => !text.includes('trying again'))).toEqual([
      expect.stringMatching(/^the load cannot be played: the engine does not answer/),
      expect.stringMatching(/^the run goes on, end it with a signal: the engine does not answer/),
    ]);
  });

  it('plays in spite of the answer: it is not asked for twice', async () => {
    const { is_played, asked } = await started([LOST], () => true);
    expect(is_played).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it('is no failure where somebody stops the run', async () => {
    const { is_played, asked, said } = await started([{ ok: false, code: 'stopping', has_ended: false }]);
    expect({ is_played, said }).toEqual({ is_played: true, said: [] });
    expect(asked).toHaveLength(1);
  });
});

describe('--strict', () => {
  const slots = { planned: 100, started: 90, waiting: 0, lost: 0, late_ms: {} };
  const dropped = { no_free_client: 0, backlog: 0, stopped: 6, paused: 4 };
  const action = { group: 'main', loop: 'main', action: 'say', index: 0, ok: 90, failed: {} };
  const ended = (more: Partial<Summary>, strict: boolean): readonly [number, string[]] => {
    const said: string[] = [];
    const summary = { connections: { attempted: 1, established: 1 }, actions: [action], ...more } as unknown as Summary;
    return [exit_code(summary, true, strict, { error: (text: string) => said.push(text) } as never), said];
  };
  const rated = (more: object): Partial<Summary> =>
    ({ actions: [{ ...action, slots: { ...slots, ...more } }] }) as never;

  it('makes 98 of a run that was saturated, or whose slots were dropped for want of clients or lost', () => {
    for (const [what, why] of [
      [{ saturated_seconds: 3 }, 'swarm was saturated for 3 s'],
      [rated({ dropped: { ...dropped, no_free_client: 7 } }), '7 of 100 slots of say were dropped or lost'],
      [rated({ dropped: { ...dropped, backlog: 1 } }), '1 of 100 slots of say were dropped or lost'],
      [rated({ dropped, lost: 2 }), '2 of 100 slots of say were dropped or lost'],
    ] as const) {
      expect(ended(what, true)).toEqual([98, [`--strict: the load was not played as planned: ${why}`]]);
      expect(ended(what, false)).toEqual([0, []]);
    }
  });

  it('is 0 when all was played, though some was dropped by a pause and the end', () => {
    expect(ended(rated({ dropped }), true)).toEqual([0, []]);
    expect(ended({}, true)).toEqual([0, []]);
  });
});
