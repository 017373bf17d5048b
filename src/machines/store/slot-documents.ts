/** What is stored about the slots of rated actions: their schedule, who fires which of them, and how far agents are. */
import {
  fault,
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  optional,
  record,
  token,
} from '../../foundation/shape.ts';
import type { Shape } from '../../foundation/shape.ts';
import type { AssignedPlaces, FreePlaces, HeldTenure, TenuresState } from '../../swarm/load/tenures.ts';
import type { NamedAction, Steered } from '../../swarm/plan/intent.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { SLOT, type HeldRate, type PlayedRate, type RatePiece } from '../../swarm/plan/rate-piece.ts';
import { PLACES, type Places } from '../../swarm/plan/segment.ts';
import type { StretchAccount, StretchesAccount } from '../../swarm/squad/rate-grants.ts';

/** Whose the slots of an action are. `held`: by agents, each of the incarnation that is planned. */
export interface ActionSlots extends TenuresState {
  /** of the tenure that was given last */
  readonly last_id: number;
  /** by agent: how many slots there were in tenures that it had, and ended */
  readonly ended: Readonly<Record<MemberId, number>>;
  /** nobody knows what became of them; those of the {@link Departed} come to it */
  readonly lost: number;
}

/** of agents: whoever goes on from the highest of them still counts whole numbers */
const SLOTS = integer(0, 2 ** 51);
/** of leaders */
const MANY_SLOTS = integer(0, 2 ** 52);
const PLACE = integer(0, PLACES);
const US = integer(0, 1e16);
/** slots in 10⁶ s, as commands have them */
const RATE = integer(0, 1e12);
const MAX_PIECES_OF = 10_000;
export const MAX_RATES = 1000;

const ANY_PIECE = object<RatePiece>({
  from_us: US,
  to_us: nullable(US),
  from_rate: RATE,
  to_rate: RATE,
  slots: MANY_SLOTS,
  first: number(0, Number.MAX_SAFE_INTEGER),
  poisson: nullable(integer(0, 2 ** 32 - 1)),
});
const PIECE: Shape<RatePiece> = (value) => {
  const piece = ANY_PIECE(value);
  const { from_us, to_us, from_rate, to_rate, first, poisson } = piece;
  if (to_us === null ? from_rate !== to_rate : to_us <= from_us) return fault('does not lead from rate to rate');
  const is_even = Number.isInteger(first) && first <= SLOT;
  return first > 0 && (poisson !== null || is_even) ? piece : fault('has no first slot');
};
const ANY_HELD = object<HeldRate>({ from_rate: RATE, to_rate: RATE, over_us: US });
const HELD: Shape<HeldRate> = (value) => {
  const held = ANY_HELD(value);
  return held.over_us > 0 || held.from_rate === held.to_rate ? held : fault('has no ramp between its rates');
};
/** see {@link Steered.rates} */
export const RATES: Shape<Steered['rates']> = record(
  object<PlayedRate>({ piece: PIECE, held: nullable(HELD) }),
  MAX_RATES,
);

/** Of a group: those that have a rate. */
export const ACTIONS = list(
  object<NamedAction>({
    index: integer(0, MAX_RATES),
    loop: token,
    name: token,
    rate: object<NonNullable<NamedAction['rate']>>({
      to_rate: RATE,
      is_poisson: flag,
      draws: nullable(integer(0, 2 ** 32 - 1)),
    }),
  }),
  MAX_RATES,
);

function places<T extends Places>(shape: Shape<T>): Shape<T> {
  return (value) => {
    const found = shape(value);
    return found.from < found.to ? found : fault('has no places');
  };
}
const FROM_TO = { from: PLACE, to: PLACE };
const FIRST = integer(1, 2 ** 52);
const STRETCH = { ...FROM_TO, id: MANY_SLOTS, first: FIRST };
export const SLOTS_OF_ACTIONS: Shape<Readonly<Record<string, ActionSlots>>> = record(
  object<ActionSlots>({
    held: list(
      places(object<HeldTenure>({ ...STRETCH, owner: token, closing: flag, last: optional(FIRST) })),
      MAX_PIECES_OF,
    ),
    free: list(places(object<FreePlaces>({ ...FROM_TO, first: FIRST })), MAX_PIECES_OF),
    layout: list(places(object<AssignedPlaces>({ ...FROM_TO, owner: token })), MAX_PIECES_OF),
    dealt_ms: number(0, 1e15),
    last_id: MANY_SLOTS,
    ended: record(MANY_SLOTS, MAX_PIECES_OF),
    lost: MANY_SLOTS,
  }),
  MAX_RATES,
);

/** of an agent: see {@link StretchesAccount} */
export type SlotsWord = Readonly<Record<string, Pick<StretchesAccount, 'stretches' | 'ended'>>>;
export const SLOTS_WORD: Shape<SlotsWord> = record(
  object<SlotsWord[string]>({
    stretches: list(places(object<StretchAccount>({ ...STRETCH, at: SLOTS, closed: nullable(SLOTS) })), MAX_PIECES_OF),
    ended: SLOTS,
  }),
  MAX_RATES,
);

/** of one that departed: the slots that were its own, by action */
export const SLOTS_GIVEN = optional(record(MANY_SLOTS, MAX_RATES));
