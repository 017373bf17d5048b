/** Whether the rows of a series add up to what was measured. */
import { COUNTER_NAMES } from './counted.ts';
import { NO_ROUNDS, plus_numbered } from './row-data.ts';
import { NO_SLOT_DATA } from './row-slots.ts';
import { at_level, NOTHING, plus, type Rough } from './rough.ts';
import type { News } from './seen.ts';
import type { SeriesNames } from './series-names.ts';
import { DROP_REASONS } from './snapshot.ts';

/** differences that are named */
const MOST = 20;
/** of a sum of times: more than 2⁵³ µs cannot be added up exactly */
const SUM_TOLERANCE = 1e-9;

/** What differs between the sum of all rows (null: there is none) and the whole, as sentences. */
export function differing(sums: News | null, whole: News, names: SeriesNames, level: number): string[] {
  const said: string[] = [];
  const compare = (what: string, sum: number, count: number): void => {
    if (sum !== count) said.push(`${what}: ${sum} in the series, ${count} in all`);
  };
  const compare_codes = (what: string, sum: ReadonlyMap<number, number>, counts: ReadonlyMap<number, number>): void => {
    for (const code of plus_numbered(sum, counts, -1).keys())
      compare(`${what} ${names.codes.name_of(code)}`, sum.get(code) ?? 0, counts.get(code) ?? 0);
  };
  const compare_times = (what: string, sum: Rough, times: Rough): void => {
    const [have, want] = [at_level(sum, level), at_level(times, level)];
    if (plus(have, want, -1).buckets.length > 0) said.push(`${what}: other times in the series than in all`);
    if (Math.abs(have.sum - want.sum) > SUM_TOLERANCE * Math.abs(want.sum))
      compare(`${what}, µs together`, have.sum, want.sum);
  };
  COUNTER_NAMES.forEach((name, i) => compare(name, sums?.counters[i] ?? 0, whole.counters[i]!));
  compare_codes('connect failed', sums?.connect_failed ?? new Map(), whole.connect_failed);
  ['started', 'ok', 'failed', 'aborted'].forEach((name, i) =>
    compare(`rounds ${name}`, sums?.rounds[i] ?? 0, whole.rounds[i]!),
  );
  compare_times('response', sums?.response ?? NOTHING, whole.response);
  for (const number of new Set([...(sums?.actions.keys() ?? []), ...whole.actions.keys()])) {
    const [have, want] = [sums?.actions.get(number) ?? NO_ROUNDS, whole.actions.get(number) ?? NO_ROUNDS];
    const { group, name } = names.actions.name_of(number);
    const what = `${group} ${name}`;
    for (const count of ['started', 'ok', 'aborted'] as const) compare(`${what} ${count}`, have[count], want[count]);
    compare_codes(`${what} failed`, have.failed, want.failed);
    compare_times(`${what} service`, have.service, want.service);
    compare_times(`${what} response`, have.response, want.response);
  }
  for (const number of new Set([...(sums?.slots.keys() ?? []), ...whole.slots.keys()])) {
    const [have, want] = [sums?.slots.get(number) ?? NO_SLOT_DATA, whole.slots.get(number) ?? NO_SLOT_DATA];
    const { group, name } = names.actions.name_of(number);
    const what = `slots of ${group} ${name}`;
    compare(`${what} planned`, have.planned, want.planned);
    DROP_REASONS.forEach((reason, i) => compare(`${what} dropped ${reason}`, have.dropped[i]!, want.dropped[i]!));
    compare_times(`${what} late`, have.late, want.late);
  }
  return said.slice(0, MOST);
}
