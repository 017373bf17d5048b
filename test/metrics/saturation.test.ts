import { describe, expect, it } from 'vitest';
import { saturation_of, SaturationWatch, type Saturation } from '../../src/metrics/saturation.ts';

describe('saturation_of', () => {
  const process = (id: string, cpu: number, lag_p99_ms: number) => ({ id, cpu, lag_p99_ms });
  const slots = (name: string, started: number, tardy: number) => ({ name, started, tardy });

  it('is none up to the bounds', () => {
    expect(saturation_of([], [])).toEqual([]);
    expect(saturation_of([process('w1', 0.9, 50)], [slots('say', 100, 1), slots('none', 0, 0)])).toEqual([]);
  });

  it('is by each that exceeds its bound, and names the worst', () => {
    expect(
      saturation_of(
        [process('w1', 0.95, 3), process('w2', 0.99, 312), process('w3', 0.2, 300)],
        [slots('say', 1000, 11), slots('talkers.beat.ping', 50, 3)],
      ),
    ).toEqual([
      { by: 'cpu', text: 'w2 used 0.99 of a core' },
      { by: 'lag', text: 'the event loop of w2 was 312 ms late (p99)' },
      {
        by: 'late',
        text: '3 of 50 slots of talkers.beat.ping started more than 10 ms late though clients were free',
      },
    ]);
  });
});

describe('a watch of saturation', () => {
  const cpu: Saturation = { by: 'cpu', text: 'w1 used 0.99 of a core' };
  const late: Saturation = { by: 'late', text: 'slots of say started 23.4 ms late (p99)' };

  /** What it says at which second; `saturated`: by what it is in each. */
  function said(saturated: readonly (readonly Saturation[])[]): [number, string][] {
    const watch = new SaturationWatch();
    let seconds = 0;
    return saturated.flatMap((now, at): [number, string][] => {
      const text = watch.look(now, seconds);
      if (now.length > 0) seconds++;
      return text === null ? [] : [[at, text]];
    });
  }
  const calm = (seconds: number): Saturation[][] => Array.from({ length: seconds }, () => []);

  it('says in the second when it begins and by what, what comes to it, and when it is over', () => {
    expect(said([[], [cpu], [cpu], [late, cpu], [late], ...calm(12), [late]])).toEqual([
      [1, 'w1 used 0.99 of a core'],
      [3, 'slots of say started 23.4 ms late (p99)'],
      [14, 'no longer: it was for 4 s, by cpu, late'],
      [17, 'slots of say started 23.4 ms late (p99)'],
    ]);
  });

  it('says once what comes and goes', () => {
    const flapping = Array.from({ length: 100 }, () => [[cpu], ...calm(9)]).flat();
    expect(said([...flapping, ...calm(1)])).toEqual([
      [0, 'w1 used 0.99 of a core'],
      [1000, 'no longer: it was for 100 s, by cpu'],
    ]);
  });

  it('says nothing while there is none', () => {
    expect(said(calm(100))).toEqual([]);
  });
});
