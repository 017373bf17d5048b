/** Rounds, sleeps and iterations: their numbers, ranges and distributions, and whether a client could spin. */
import { nearest } from '../foundation/suggest.ts';
import { is_range } from './range.ts';
import { has, is_mapping, wrong_key, wrong_value, type Raw, type RawGroup, type Wrong } from './raw.ts';
import { ACTION_RANGES, DISTRIBUTIONS, MAX_SIGMA, RANGES, type RangeKey } from './schema.ts';
import type { Loop, Script, ThinkTime } from './types.ts';
import { did_you_mean, label, list, quoted, shown, to_token } from './wording.ts';

export function check_times(groups: readonly RawGroup[]): Wrong[] {
  const loops = groups.flatMap((group) => group.loops);
  return [
    ...loops.flatMap(({ at, raw }) => check_keys(raw, at, ['sleep_between_iterations'])),
    ...loops.flatMap(({ actions }) => actions).flatMap(({ at, raw }) => check_keys(raw, at, ACTION_RANGES)),
  ];
}

const check_keys = (raw: Raw, at: string, keys: readonly RangeKey[]): Wrong[] =>
  keys.filter((key) => has(raw, key)).flatMap((key) => check_time(key, raw[key], `${at}/${key}`));

function check_time(key: RangeKey, value: unknown, at: string): Wrong[] {
  const { integer, max } = RANGES[key];
  const number = `${integer ? 'a whole number' : 'a number of seconds'} from 0 to ${max}`;
  const fits = (each: unknown): each is number =>
    typeof each === 'number' && each >= 0 && each <= max && (!integer || Number.isInteger(each));
  if (is_mapping(value) && !integer) return check_distribution(value, at);
  if (!Array.isArray(value)) {
    const or_mapping = integer ? '' : ', or { mean, distribution }';
    return fits(value)
      ? []
      : [
          wrong_value(
            at,
            `\`${key}\` must be ${number}, or a range [from, to] of two such${or_mapping}, not ${shown(value)}`,
          ),
        ];
  }
  const ends = value as unknown[];
  if (ends.length !== 2)
    return [wrong_value(at, `\`${key}\`: a range is exactly two numbers [from, to], this one has ${ends.length}`)];
  const wrong = ends.flatMap((each, i) => {
    const place = `${at}/${i}`;
    return fits(each) ? [] : [wrong_value(place, `\`${label(place)}\` must be ${number}, not ${shown(each)}`)];
  });
  const [from, to] = ends as [number, number];
  if (wrong.length === 0 && from > to)
    wrong.push(wrong_value(at, `\`${key}\`: the range is reversed, did you mean [${to}, ${from}]?`));
  return wrong;
}

const DISTRIBUTION_KEYS = ['mean', 'distribution', 'sigma'];

/** `{ mean, distribution }`, with `sigma` of a lognormal one. */
function check_distribution(raw: Raw, at: string): Wrong[] {
  const { mean, distribution, sigma } = raw;
  const { max } = RANGES.sleep_between_rounds;
  const key = label(at);
  const wrong = Object.keys(raw)
    .filter((each) => !DISTRIBUTION_KEYS.includes(each))
    .map((each) => {
      const near = nearest(each, DISTRIBUTION_KEYS);
      return wrong_key(`${at}/${to_token(each)}`, `unknown key ${quoted(each)}${did_you_mean(near)}`);
    });
  if (!is_between(mean, max))
    wrong.push(
      wrong_value(`${at}/mean`, `\`${key}\`: \`mean\` must be more than 0 s and at most ${max} s, not ${shown(mean)}`),
    );
  const known: readonly unknown[] = DISTRIBUTIONS;
  if (!known.includes(distribution)) {
    const near = typeof distribution === 'string' ? nearest(distribution, DISTRIBUTIONS) : undefined;
    const message = `\`${key}\`: \`distribution\` must be ${list(DISTRIBUTIONS.map(quoted))}, not ${shown(distribution)}`;
    wrong.push(wrong_value(`${at}/distribution`, message + did_you_mean(near)));
  }
  if (has(raw, 'sigma') && distribution === 'exponential')
    wrong.push(wrong_key(`${at}/sigma`, `\`${key}\`: an exponential distribution has no \`sigma\`, leave it out`));
  else if (has(raw, 'sigma') && !is_between(sigma, MAX_SIGMA))
    wrong.push(
      wrong_value(
        `${at}/sigma`,
        `\`${key}\`: \`sigma\` must be more than 0 and at most ${MAX_SIGMA}, not ${shown(sigma)}`,
      ),
    );
  return wrong;
}

const is_between = (value: unknown, max: number): boolean => typeof value === 'number' && value > 0 && value <= max;

const SPINS =
  'an iteration can pass without a round or a sleep: every `rounds` can be 0 and every sleep is 0, so that clients would spin for ever';

/** Of a script that is whole otherwise. `groups`: as they stand in its file. */
export const check_spins = (script: Script, groups: readonly RawGroup[]): Wrong[] =>
  script.groups.flatMap(({ loops, iterations_in_all }, g) =>
    loops.flatMap((loop, i) => {
      const is_endless = loop.iterations === null && iterations_in_all === null;
      return is_endless && can_spin(loop) ? [wrong_key(groups[g]!.loops[i]!.list_at, SPINS)] : [];
    }),
  );

/**
 * Whether an iteration can ever pass in no time. A sleep counts only if it can be reached. A loop of rated actions alone
 * is not played in turn.
 */
function can_spin({ actions, sleep_between_iterations }: Loop): boolean {
  if (actions.every(({ rate }) => rate !== null)) return false;
  const takes_time = ({ rounds, sleep_between_rounds, sleep_after_action }: Loop['actions'][number]): boolean =>
    rounds[0] > 0 || can_last(sleep_after_action) || (rounds[1] > 0 && can_last(sleep_between_rounds));
  return !can_last(sleep_between_iterations) && !actions.some(takes_time);
}

const can_last = (sleep: ThinkTime): boolean => !is_range(sleep) || sleep[1] > 0;
