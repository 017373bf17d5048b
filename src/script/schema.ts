/**
 * The script's JSON Schema (draft-07, which YAML language servers read), and the table of ranges it is made from. The
 * loader takes bounds and defaults from the same table.
 */
import { RESERVED_EXPORTS } from '../protocols/module.ts';
import { MAX_SLEEP } from './range.ts';

interface RangeRule {
  readonly title: string;
  readonly description: string;
  readonly default: number;
  readonly max: number;
  readonly integer: boolean;
  readonly examples: readonly (number | readonly [number, number])[];
}

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
    description:
      'Seconds to sleep after each round, the last one too: a number, or a range [from, to] from which a real number is drawn each time.',
    default: 1,
    max: MAX_SLEEP,
    integer: false,
    examples: [0, 0.5, [1, 5]],
  },
  sleep_after_action: {
    title: 'Sleep after the action',
    description:
      'Seconds to sleep when all rounds are done: a number, or a range [from, to] from which a real number is drawn each time.',
    default: 1,
    max: MAX_SLEEP,
    integer: false,
    examples: [0, [1, 5]],
  },
} as const satisfies Record<string, RangeRule>;

export type RangeKey = keyof typeof RANGES;
export const RANGE_KEYS = Object.keys(RANGES) as RangeKey[];

/** The most actions a script can have: each has its own counters and histograms in every worker. */
export const MAX_ACTIONS = 1000;

function range_schema(rule: RangeRule): object {
  const number = { type: rule.integer ? 'integer' : 'number', minimum: 0, maximum: rule.max };
  return {
    title: rule.title,
    description: rule.description,
    default: rule.default,
    examples: rule.examples,
    anyOf: [number, { type: 'array', items: number, minItems: 2, maxItems: 2 }],
  };
}

export const SCRIPT_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'swarm script',
  description:
    'What every client of the swarm does, over and over: which protocol, which actions, how often, how long to sleep.',
  type: 'object',
  additionalProperties: false,
  required: ['protocol', 'actions'],
  properties: {
    protocol: {
      title: 'Protocol module',
      description: 'Name of the module inside --protocol-dir, without its ending.',
      type: 'string',
      pattern: '^[A-Za-z0-9_][A-Za-z0-9_-]*$',
      examples: ['durian', 'redis'],
    },
    actions: {
      title: 'Actions',
      description: 'Performed in order by every client; the whole list once is an iteration, and then it starts again.',
      type: 'array',
      minItems: 1,
      maxItems: MAX_ACTIONS,
      items: {
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
        },
      },
    },
  },
  examples: [
    {
      protocol: 'durian',
      actions: [{ command: 'heartbeat', args: { uid: 123 }, rounds: [2, 10], sleep_between_rounds: [1, 5] }],
    },
  ],
} as const;
