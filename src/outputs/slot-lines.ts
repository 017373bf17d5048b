/** What became of slots, of actions and of clients that arrive, and whether swarm itself was the bottleneck, in words and tables. Pure. */
import { full_name, MAIN } from '../metrics/groups.ts';
import type { ActionSummary, ArrivalsSummary, SlotsSummary, Summary } from '../metrics/summary.ts';
import { aligned, counts_line, ms, numbered, sum_of_counts, text_of } from './tables.ts';

/** rates that `status` names */
const MAX_RATES = 5;

type WithSlots = ActionSummary & { readonly slots: SlotsSummary };

const rated_of = (actions: readonly ActionSummary[]): WithSlots[] =>
  actions.filter((action): action is WithSlots => action.slots !== undefined);

const total = (actions: readonly WithSlots[], of: (slots: SlotsSummary) => number): number =>
  actions.reduce((all, { slots }) => all + of(slots), 0);
const dropped_in = ({ dropped }: SlotsSummary): number => sum_of_counts(dropped);

/** The rates in force, all slots together, the clients that arrive, how many seconds were saturated so far; empty: nothing of it is known. */
export function slot_status({ actions, arrivals = [], final, saturated_seconds = 0 }: Summary): string[] {
  return [
    ...(final ? [] : rate_lines(actions)),
    ...totals_lines(rated_of(actions)),
    ...arrivals.map((one) => arrivals_line(one, final)),
    ...(final || saturated_seconds === 0
      ? []
      : [`saturated: swarm itself was the bottleneck for ${saturated_seconds} s so far, see \`events\``]),
  ];
}

function rate_lines(actions: readonly ActionSummary[]): string[] {
  const rates = actions.flatMap((action) =>
    action.rate_per_s === undefined ? [] : [`${text_of(full_name(action))} ${action.rate_per_s}/s`],
  );
  if (rates.length === 0) return [];
  const more = rates.length > MAX_RATES ? `, and ${rates.length - MAX_RATES} more, see \`actions\`` : '';
  return [`rates: ${rates.slice(0, MAX_RATES).join(', ')}${more}`];
}

function totals_lines(rated: readonly WithSlots[]): string[] {
  if (rated.length === 0) return [];
  const dropped: Record<string, number> = {};
  for (const { slots } of rated)
    for (const [reason, count] of Object.entries(slots.dropped)) dropped[reason] = (dropped[reason] ?? 0) + count;
  const all = total(rated, dropped_in);
  const counts = [
    `planned ${total(rated, ({ planned }) => planned)}`,
    `started ${total(rated, ({ started }) => started)}`,
    `waiting ${total(rated, ({ waiting }) => waiting)}`,
    `dropped ${all}${all > 0 ? ` (${counts_line(dropped)})` : ''}`,
    `lost ${total(rated, ({ lost }) => lost)}`,
    late_part(rated),
  ];
  return [`slots: ${counts.join(', ')}`];
}

/** `arrivals in talkers: 5/s now, planned 35, started 30, live 4, …` */
function arrivals_line(arrivals: ArrivalsSummary, final: boolean): string {
  const { group, planned, started, live, dropped, lost, late_ms, rate_per_s } = arrivals;
  const all = sum_of_counts(dropped);
  const counts = [
    ...(final || rate_per_s === undefined ? [] : [`${rate_per_s}/s now`]),
    ...[`planned ${planned}`, `started ${started}`, `live ${live}`],
    `dropped ${all}${all > 0 ? ` (${counts_line(dropped)})` : ''}`,
    `lost ${lost}`,
    `late p99 ${ms(late_ms.p99)} ms`,
  ];
  return `arrivals${group === MAIN ? '' : ` in ${text_of(group)}`}: ${counts.join(', ')}`;
}

/** Of the action that is latest, which is named if there are others. */
function late_part(rated: readonly WithSlots[]): string {
  const latest = rated.reduce((most, one) => (one.slots.late_ms.p99 > most.slots.late_ms.p99 ? one : most));
  const named = rated.length > 1 ? ` (${text_of(full_name(latest))})` : '';
  return `late p99 ${ms(latest.slots.late_ms.p99)} ms${named}`;
}

export const SLOT_HEAD = [
  ...['action', 'per second', 'planned', 'started', 'waiting', 'dropped', 'lost'],
  ...['late p50', 'p90', 'p99', 'max', 'dropped for'],
];
/** columns that stand to the left */
export const SLOT_LEFT = [0, 11];

export function slot_rows(actions: readonly ActionSummary[]): (string | number)[][] {
  return rated_of(actions).map((action) => {
    const { planned, started, waiting, dropped, lost, late_ms } = action.slots;
    return [
      ...[numbered(action), action.rate_per_s ?? '', planned, started, waiting, sum_of_counts(dropped), lost],
      ...(['p50', 'p90', 'p99', 'max'] as const).map((p) => ms(late_ms[p])),
      sum_of_counts(dropped) === 0 ? '' : counts_line(dropped),
    ];
  });
}

/** A line, then a table, for what stands below the table of `actions`; empty: no action has a rate. */
export function slot_lines({ mark, actions }: Summary): string[] {
  const rows = slot_rows(mark?.actions ?? actions);
  return rows.length === 0
    ? []
    : ['slots of actions with a rate, late in ms', ...aligned([SLOT_HEAD, ...rows], SLOT_LEFT)];
}

/**
 * Slots per second since `before`, or the start, and how late they were in the last interval, else since the start;
 * null: no action has a rate. `are_dropped`: something was given up or lost in that time.
 */
export function slot_rates(now: Summary, before: Summary | null): { text: string; are_dropped: boolean } | null {
  const [rated, earlier] = [rated_of(now.actions), rated_of(before?.actions ?? [])];
  if (rated.length === 0) return null;
  const seconds = now.run.seconds - (before?.run.seconds ?? 0);
  const more = (of: (slots: SlotsSummary) => number): number => total(rated, of) - total(earlier, of);
  const per_s = (count: number): string => (seconds > 0 ? count / seconds : 0).toFixed(1);
  const [dropped, lost] = [more(dropped_in), more((slots) => slots.lost)];
  const late_p99 = now.interval?.late_p99;
  const parts = [
    `${per_s(more(({ planned }) => planned))} planned/s`,
    `${per_s(more(({ started }) => started))} started/s`,
    `waiting ${total(rated, ({ waiting }) => waiting)}`,
    `${per_s(dropped)} dropped/s`,
    ...(lost > 0 ? [`${per_s(lost)} lost/s`] : []),
    late_p99 === undefined ? `${late_part(rated)}, since the start` : `late p99 ${ms(late_p99)} ms`,
  ];
  return { text: `slots: ${parts.join(', ')}`, are_dropped: dropped > 0 || lost > 0 };
}
