/** Actions that are played at a rate, over the clients that are connected, instead of in turn. */
import { parse_slot_rate, SLOT_RATE_TEXT } from '../foundation/rate.ts';
import { has, wrong_key, wrong_value, type Raw, type RawGroup, type RawLoop, type Wrong } from './raw.ts';
import { ACTION_RANGES } from './schema.ts';
import { actions_of, type Action, type GroupScript, type Rated } from './types.ts';
import { quoted, shown } from './wording.ts';

/** What only an action with a rate has. */
const WITH_RATE = ['at_once', 'give_up'] as const;

/** `100/s`, `100/s poisson`. Undefined for any other value. */
export function parse_rated(value: unknown): Pick<Rated, 'per_s' | 'poisson'> | undefined {
  if (typeof value !== 'string') return undefined;
  const [rate = '', law, ...rest] = value.split(/ +/);
  const per_s = parse_slot_rate(rate);
  if (per_s === undefined || rest.length > 0 || (law !== undefined && law !== 'poisson')) return undefined;
  return { per_s, poisson: law !== undefined };
}

export const check_rates = (groups: readonly RawGroup[]): Wrong[] =>
  groups
    .flatMap(({ loops }) => loops)
    .flatMap((loop) => [...loop.actions.flatMap(({ at, raw }) => check_rate(raw, at)), ...check_sleep(loop)]);

function check_rate(raw: Raw, at: string): Wrong[] {
  if (!has(raw, 'rate'))
    return WITH_RATE.filter((key) => has(raw, key)).map((key) =>
      wrong_key(`${at}/${key}`, `\`${key}\` without \`rate\`: write \`rate: 100/s\` beside it, or leave it out`),
    );
  const { rate } = raw;
  const beside = ACTION_RANGES.filter((key) => has(raw, key)).map((key) =>
    wrong_key(
      `${at}/${key}`,
      `\`${key}\` beside \`rate\`: the rate says when the action is played, over all clients; ` +
        `keep one of the two, and for gaps that are drawn write \`rate: 100/s poisson\``,
    ),
  );
  return parse_rated(rate) === undefined ? [wrong_value(`${at}/rate`, bad_rate(rate)), ...beside] : beside;
}

function bad_rate(rate: unknown): string {
  const is_meant = typeof rate === 'number' && rate >= 0 && parse_slot_rate(`${rate}/s`) !== undefined;
  const meant = is_meant ? `, did you mean ${quoted(`${rate}/s`)}?` : '';
  return `\`rate\` must be ${SLOT_RATE_TEXT}, with \` poisson\` behind it for drawn gaps, not ${shown(rate)}${meant}`;
}

/** Nothing of it is played in turn: it has no iterations to sleep between. */
function check_sleep({ at, raw, actions }: RawLoop): Wrong[] {
  const key = 'sleep_between_iterations';
  if (!has(raw, key) || actions.length === 0 || !actions.every((action) => has(action.raw, 'rate'))) return [];
  return [wrong_key(`${at}/${key}`, `\`${key}\` where every action has a rate: nobody sleeps there, leave it out`)];
}

/** Of an action without faults; null: it has no rate. `give_up` of the script is in seconds. */
export function to_rated(raw: Raw): Rated | null {
  const given = parse_rated(raw['rate']);
  if (given === undefined) return null;
  const give_up = raw['give_up'] as number | undefined;
  return {
    ...given,
    at_once: (raw['at_once'] as number | undefined) ?? 1,
    give_up_ms: give_up === undefined ? null : Math.round(give_up * 1e6) / 1000,
  };
}

/** The same, each rated action once in turn: what `swarm try` plays. */
export const without_rates = (script: GroupScript): GroupScript => {
  if (!actions_of(script).some(({ rate }) => rate !== null)) return script;
  const once = (action: Action): Action => (action.rate === null ? action : { ...action, rounds: [1, 1], rate: null });
  return { ...script, loops: script.loops.map((loop) => ({ ...loop, actions: loop.actions.map(once) })) };
};
