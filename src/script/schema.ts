/**
 * The script's JSON Schema (draft-07, which YAML language servers read), and the table of ranges it is made from. The
 * loader takes bounds and defaults from the same table.
 */
import { RESERVED_EXPORTS } from '../protocols/module.ts';
import { MAX_SLEEP } from './range.ts';
import { MAX_GROUPS, MAX_SHARE, NAME, type Distribution } from './types.ts';

interface RangeRule {
  readonly title: string;
  readonly description: string;
  readonly default: number;
  readonly max: number;
  /** rounds, and no seconds to sleep */
  readonly integer: boolean;
  readonly examples: readonly unknown[];
}

export const DISTRIBUTIONS: readonly Distribution['distribution'][] = ['exponential', 'lognormal'];
/** of a lognormal distribution, where the script has none */
export const DEFAULT_SIGMA = 1;
export const MAX_SIGMA = 10;

const OR_RANGE =
  'a number, or a range [from, to] from which a real number is drawn each time, or a mean with a distribution.';

export const RANGES = {
  rounds: {
    title: 'Rounds',
    description:
      'How often to call the command before the next action: a whole number, or a range [from, to] from which each iteration draws anew, both ends included. 0 skips its rounds, not its sleep_after_action.',
    default: 1,
    max: 1_000_000_000,
    integer: true,
    examples: [1, [2, 10]],
  },
  sleep_between_rounds: {
    title: 'Sleep between rounds',
    description: `Seconds to sleep after each round, the last one too: ${OR_RANGE}`,
    default: 1,
    max: MAX_SLEEP,
    integer: false,
    examples: [0, 0.5, [1, 5], { mean: 5, distribution: 'exponential' }],
  },
  sleep_after_action: {
    title: 'Sleep after the action',
    description: `Seconds to sleep when all rounds are done: ${OR_RANGE}`,
    default: 1,
    max: MAX_SLEEP,
    integer: false,
    examples: [0, [1, 5], { mean: 5, distribution: 'lognormal', sigma: 0.5 }],
  },
  sleep_between_iterations: {
    title: 'Sleep between iterations',
    description: `Seconds to sleep behind the sleeps of the last action, before the next iteration: ${OR_RANGE}`,
    default: 0,
    max: MAX_SLEEP,
    integer: false,
    examples: [0, [30, 60]],
  },
} as const satisfies Record<string, RangeRule>;

export type RangeKey = keyof typeof RANGES;
export const ACTION_RANGES = ['rounds', 'sleep_between_rounds', 'sleep_after_action'] as const;

/** The most actions a script can have, in all its groups: each has its own counters and histograms in every worker. */
export const MAX_ACTIONS = 1000;
/** The most loops of a group: each has a timer in every client. */
export const MAX_LOOPS = 16;
export const MAX_ITERATIONS = 1_000_000_000;
/** Rounds of a rated action that a client may run at a time. */
export const MAX_AT_ONCE = 1000;
/** Seconds that a slot may wait for a client: a millisecond to a day. */
export const MIN_GIVE_UP = 0.001;
export const MAX_GIVE_UP = 86_400;

function range_schema(rule: RangeRule): object {
  const number = { type: rule.integer ? 'integer' : 'number', minimum: 0, maximum: rule.max };
  const range = { type: 'array', items: number, minItems: 2, maxItems: 2 };
  return {
    title: rule.title,
    description: rule.description,
    default: rule.default,
    examples: rule.examples,
    anyOf: rule.integer ? [number, range] : [number, range, DISTRIBUTION],
  };
}

const DISTRIBUTION = {
  title: 'Distribution',
  description: 'A time that is drawn around a mean: exponential, or lognormal with `sigma`.',
  type: 'object',
  additionalProperties: false,
  required: ['mean', 'distribution'],
  properties: {
    mean: { description: 'Seconds.', type: 'number', exclusiveMinimum: 0, maximum: MAX_SLEEP },
    distribution: { enum: DISTRIBUTIONS },
    sigma: {
      description: 'Of lognormal: the standard deviation of the logarithm.',
      type: 'number',
      exclusiveMinimum: 0,
      maximum: MAX_SIGMA,
      default: DEFAULT_SIGMA,
    },
  },
} as const;

const A_NAME = { type: 'string', pattern: NAME.source } as const;
const ITERATIONS = { type: 'integer', minimum: 1, maximum: MAX_ITERATIONS } as const;

const ACTION = {
  title: 'Action',
  description: 'One command of the protocol module: its arguments, how often to call it, how long to sleep.',
  type: 'object',
  additionalProperties: false,
  required: ['command'],
  properties: {
    command: {
      title: 'Command',
      description: 'An exported function of the protocol module.',
      type: 'string',
      minLength: 1,
      not: { enum: RESERVED_EXPORTS },
      examples: ['heartbeat'],
    },
    name: {
      title: 'Name',
      description:
        'What the action is called everywhere, unlike any group, loop or other action. Default: its command.',
      ...A_NAME,
      examples: ['first_heartbeat'],
    },
    args: {
      title: 'Arguments',
      description: 'The second parameter of the function: frozen, the same for all clients.',
      type: ['object', 'null'],
      default: {},
      examples: [{ uid: 123 }],
    },
    rounds: range_schema(RANGES.rounds),
    sleep_between_rounds: range_schema(RANGES.sleep_between_rounds),
    sleep_after_action: range_schema(RANGES.sleep_after_action),
    rate: {
      title: 'Rate',
      description:
        'How often to play the action over all clients, per second (/s) or minute (/m), instead of in turn: evenly, or with drawn gaps (poisson). 0/s waits for the command `rate`.',
      type: 'string',
      pattern: '^[0-9]{1,8}([.][0-9]{1,6})?/[smSM]( +poisson)?$',
      examples: ['100/s', '30/m', '100/s poisson', '0/s'],
    },
    at_once: {
      title: 'At once',
      description:
        'With `rate`: how many rounds of the action a client may run at a time. More than 1 only if the module exports `messages`.',
      type: 'integer',
      minimum: 1,
      maximum: MAX_AT_ONCE,
      default: 1,
      examples: [10],
    },
    give_up: {
      title: 'Give up',
      description:
        'With `rate`: seconds after which a round for which no client was free is dropped. Default: --reply-timeout.',
      type: 'number',
      minimum: MIN_GIVE_UP,
      maximum: MAX_GIVE_UP,
      examples: [0.5],
    },
  },
} as const;

const ACTIONS = {
  title: 'Actions',
  description: 'Performed in order by every client; the whole list once is an iteration, and then it starts again.',
  type: 'array',
  minItems: 1,
  maxItems: MAX_ACTIONS,
  items: { $ref: '#/definitions/action' },
} as const;

/** What belongs to one list of actions. */
const OF_LOOP = {
  iterations: {
    title: 'Iterations',
    description: 'How many iterations each client plays before it is done and leaves. Default: without end.',
    ...ITERATIONS,
    examples: [20],
  },
  sleep_between_iterations: range_schema(RANGES.sleep_between_iterations),
} as const;

const PROTOCOL = {
  title: 'Protocol module',
  description: 'Name of the module inside --protocol-dir, without its ending.',
  type: 'string',
  pattern: '^[A-Za-z0-9_][A-Za-z0-9_-]*$',
  examples: ['durian', 'redis'],
} as const;

/** What a group has, and a script without groups. */
const PLAYED = {
  actions: ACTIONS,
  loops: {
    title: 'Loops',
    description: 'Instead of `actions`: several lists by name, which each client plays at once on its connection.',
    type: 'object',
    minProperties: 1,
    maxProperties: MAX_LOOPS,
    propertyNames: A_NAME,
    additionalProperties: {
      title: 'Loop',
      description: 'A list of actions, or a mapping with `actions`.',
      type: ['array', 'object'],
      if: { type: 'array' },
      then: ACTIONS,
      else: {
        additionalProperties: false,
        required: ['actions'],
        properties: { actions: ACTIONS, ...OF_LOOP },
      },
    },
  },
  ...OF_LOOP,
  iterations_in_all: {
    title: 'Iterations in all',
    description: 'How many iterations all clients of the group play together, shared out evenly before they begin.',
    ...ITERATIONS,
    examples: [100_000],
  },
} as const;

/** The list of steps in it is as that of `load`, and may hold more of them. */
const REPEAT = {
  type: 'object',
  minProperties: 1,
  maxProperties: 1,
  patternProperties: { '^repeat [1-9][0-9]*$': { type: 'array', items: { type: ['string', 'object'] } } },
  additionalProperties: false,
} as const;

export const SCRIPT_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'swarm script',
  description:
    'What every client of the swarm does, over and over: which protocol, which actions, how often, how long to sleep.',
  type: 'object',
  additionalProperties: false,
  anyOf: [{ required: ['protocol', 'actions'] }, { required: ['protocol', 'loops'] }, { required: ['groups'] }],
  properties: {
    protocol: PROTOCOL,
    ...PLAYED,
    load: {
      title: 'Load',
      description:
        'What `swarm run` plays by itself: commands of the console, one after the other; `&` together; `stop` ends the run.',
      anyOf: [{ type: 'string' }, { type: 'array', items: { anyOf: [{ type: 'string' }, REPEAT] } }],
      examples: [['set 1000 over 30s', 'hold 5m', { 'repeat 3': ['incr 100', 'hold 20s'] }, 'stop']],
    },
    groups: {
      title: 'Groups',
      description: 'Instead of `actions` or `loops`: clients that play something else, by name.',
      type: 'object',
      minProperties: 1,
      maxProperties: MAX_GROUPS,
      propertyNames: A_NAME,
      additionalProperties: {
        title: 'Group',
        description: 'What some of the clients play, and how many they are beside those of the other groups.',
        type: 'object',
        additionalProperties: false,
        anyOf: [{ required: ['actions'] }, { required: ['loops'] }],
        properties: {
          share: {
            title: 'Share',
            description:
              'Its part of the clients is share / the shares of all groups. 0: only those it is given by name.',
            type: 'integer',
            minimum: 0,
            maximum: MAX_SHARE,
            default: 1,
            examples: [9],
          },
          protocol: { ...PROTOCOL, description: `${PROTOCOL.description} Default: that of the whole script.` },
          ...PLAYED,
        },
      },
    },
  },
  definitions: { action: ACTION },
  examples: [
    {
      protocol: 'durian',
      actions: [{ command: 'heartbeat', args: { uid: 123 }, rounds: [2, 10], sleep_between_rounds: [1, 5] }],
    },
    { protocol: 'chat', actions: [{ command: 'say', rate: '100/s', at_once: 2, give_up: 1 }] },
    {
      protocol: 'chat',
      groups: {
        talkers: { share: 1, actions: [{ command: 'say' }], iterations: 20, sleep_between_iterations: [30, 60] },
        listeners: { share: 9, loops: { listen: [{ command: 'enter' }], beat: [{ command: 'ping' }] } },
      },
    },
  ],
} as const;
