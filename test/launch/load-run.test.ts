import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command, Reply } from '../../src/grammar/command.ts';
import { start_load } from '../../src/launch/load-run.ts';
import type { LoadSummary } from '../../src/metrics/summary.ts';

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
