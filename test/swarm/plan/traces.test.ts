import { describe, expect, it } from 'vitest';
import { Traces } from '../../../src/swarm/plan/traces.ts';

/** Traces, and one that began at 0 ms and has 5 s. */
function running(): { traces: Traces; token: string; seen: (string | null)[] } {
  const traces = new Traces();
  const seen: (string | null)[] = [];
  const token = traces.start('w1', 7, 5000, (line) => seen.push(line));
  return { traces, token, seen };
}
const lines = (token: string, ...texts: string[]) => [{ token, lines: texts }];

describe('Traces', () => {
  it('orders a trace of the member that has the client, and of nobody else', () => {
    const { traces, token } = running();
    expect(traces.of('w1')).toEqual([{ token, client: 7 }]);
    expect(traces.of('w2')).toEqual([]);
  });

  it('passes lines on by token, in order, and drops those of no trace', () => {
    const { traces, token, seen } = running();
    const other: unknown[] = [];
    const second = traces.start('w1', 8, 5000, (line) => other.push(line));
    traces.deliver('w1', {
      revision: 1,
      traces: [...lines(token, 'a', 'b'), ...lines(second, 'c'), ...lines('x', 'd')],
    });
    expect([seen, other]).toEqual([['a', 'b'], ['c']]);
  });

  it('ends once with null, also when it ends again', () => {
    const { traces, token, seen } = running();
    traces.end(token);
    traces.end(token);
    traces.deliver('w1', { revision: 1, traces: lines(token, 'late') });
    expect([seen, traces.of('w1')]).toEqual([[null], []]);
  });

  it('after its time leaves the plan, and ends with the report that has applied this', () => {
    const { traces, token, seen } = running();
    expect(traces.expire(4999, 10)).toBe(false);
    expect(traces.expire(5000, 10)).toBe(true);
    expect(traces.of('w1')).toEqual([]);
    expect(traces.expire(5100, 11)).toBe(false);
    traces.deliver('w1', { revision: 9, traces: lines(token, 'before') });
    traces.deliver('w2', { revision: 10, traces: [] });
    expect(seen).toEqual(['before']);
    traces.deliver('w1', { revision: 10, traces: lines(token, 'last') });
    expect(seen).toEqual(['before', 'last', null]);
  });

  it('does not wait for ever for the last lines', () => {
    const { traces, seen } = running();
    traces.expire(5000, 10);
    traces.expire(6999, 11);
    expect(seen).toEqual([]);
    traces.expire(7000, 11);
    expect(seen).toEqual([null]);
  });

  it('runs 16 at a time', () => {
    const { traces, token } = running();
    for (let i = 1; i < 16; i++) {
      expect(traces.is_full).toBe(false);
      traces.start('w1', i, 5000, () => {});
    }
    expect(traces.is_full).toBe(true);
    traces.end(token);
    expect(traces.is_full).toBe(false);
  });

  it('ends all, also when one of them ends another', () => {
    const { traces, token, seen } = running();
    traces.start('w2', 1, 5000, () => traces.end(token));
    traces.end_all();
    expect([seen, traces.of('w1'), traces.of('w2')]).toEqual([[null], [], []]);
  });
});
