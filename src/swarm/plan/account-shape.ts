/** Accounts, checked where they are read: another process may run anybody's code, another machine may be anybody's. */
import {
  any_json,
  checked,
  exact,
  fault,
  flag,
  integer,
  lines,
  list,
  nullable,
  object,
  one_of,
  Refused,
  text,
  token,
  type Shape,
} from '../../foundation/shape.ts';
import { MAX_TRACES } from '../../grammar/command.ts';
import { HISTOGRAM, MAX_HISTOGRAMS, with_histograms, type Counters } from '../../metrics/packed.ts';
import { COUNT, COUNTERS, MAX_TEXT } from '../../metrics/snapshot-shape.ts';
import type { HistogramSnapshot } from '../../metrics/snapshot.ts';
import type { Account, HookResult, Note, TenureAccount } from './account.ts';

/** of all rated actions of a member */
const MAX_TENURES = 10_000;
const MAX_NOTES = 50;
/** characters of a note, which may be all that a process printed in one piece: 64 KiB at most */
const MAX_NOTE = 70_000;

export const LEVEL = one_of('info', 'warn', 'error');
export const NOTE_TEXT = lines(MAX_NOTE);
const NOTE = object<Note>({ level: LEVEL, text: NOTE_TEXT });
/** bounded by Worker, which makes them */
export const TRACE_LINES = list(text(2000), 210);

const GOOD = object<Extract<HookResult, { ok: true }>>({ ok: (value) => value as true, value: any_json });
const BAD = object<Extract<HookResult, { ok: false }>>({
  ok: (value) => (flag(value) ? fault('is true') : false),
  reason: text(1000),
});
export const HOOK_RESULT: Shape<HookResult> = (value) =>
  (value as Partial<HookResult> | null)?.ok === true ? GOOD(value) : BAD(value);

const PACKED: Shape<AccountMessage['packed']> = (value) => {
  if (!(value instanceof Map) || value.size > MAX_HISTOGRAMS) return fault('are not histograms by number');
  const found = new Map<number, HistogramSnapshot>();
  for (const [number, bytes] of value as Map<unknown, unknown>) found.set(HISTOGRAM_NUMBER(number), HISTOGRAM(bytes));
  return found;
};
const HISTOGRAM_NUMBER = integer(0, MAX_HISTOGRAMS - 1);

/** An account on its way: `packed` has the histograms that changed since the last one, by number; bytes in transit. */
export type AccountMessage<T = HistogramSnapshot> = Omit<Account, 'snapshot'> & {
  readonly counters: Counters;
  readonly packed: ReadonlyMap<number, T>;
};

const TENURE = object<TenureAccount>({ id: COUNT, at: COUNT, closed: nullable(COUNT) });

const ACCOUNT = object<AccountMessage>({
  incarnation: token,
  pid: integer(0, 2 ** 32),
  seq: COUNT,
  revision: COUNT,
  taken: COUNT,
  capacity: COUNT,
  capacity_why: text(MAX_TEXT),
  counters: COUNTERS,
  packed: PACKED,
  notes: list(NOTE, MAX_NOTES),
  notes_dropped: COUNT,
  tenures: list(TENURE, MAX_TENURES),
  traces: list(object<Account['traces'][number]>({ token: exact(64), lines: TRACE_LINES }), 2 * MAX_TRACES),
  setup: (value) => (value === null ? null : HOOK_RESULT(value)),
  teardown: (value) => (value === null ? null : HOOK_RESULT(value)),
  finished: flag,
});

/** Reads the accounts of one worker in their order. They are checked, as its process runs the user's code. */
export class AccountReader {
  readonly #histograms: HistogramSnapshot[] = [];

  read(message: unknown): Account | Refused {
    const found = checked(ACCOUNT, message);
    if (found instanceof Refused) return found;
    const { counters, packed, ...rest } = found;
    for (const [number, histogram] of packed) this.#histograms[number] = histogram;
    return { ...rest, snapshot: with_histograms(counters, this.#histograms) };
  }
}
