/**
 * A load that plays. Where it is, and what is wanted then, are functions of the last command and of run time: members
 * of a swarm follow it by themselves, without a word. Only a wait for clients needs somebody who says that it is over.
 * Pure.
 */
import { whole_ms_in_s as seconds } from '../../foundation/duration.ts';
import type { NextStep, WaitFor } from '../../grammar/command.ts';
import { read_load, type LoadStep } from '../../grammar/load-text.ts';
import type { StepCommand } from '../../grammar/step-rows.ts';
import { counted_for, type Reached } from '../../metrics/reached.ts';
import type { LoadSummary } from '../../metrics/summary.ts';
import { aim, labels_within } from './aims.ts';
import {
  is_ending,
  planned_of,
  ramp_ms,
  target_of,
  targets_of,
  type NamedSharing,
  type Play,
  type Steered,
  type Sum,
} from './intent.ts';
import { planned_at, type Ramp } from './ramp.ts';
import { arriving, find_arriving, type ArriveCommand } from './arrivals.ts';
import { find_rated, retimed, steady, with_rates, type RateCommand } from './rated-actions.ts';

const MAX_BEGUN = 100;

export const steps_of = (load: Pick<Play, 'text'>): readonly LoadStep[] => read_load(load.text).steps;

/** The step that goes on; null: none does, as the load is over or there is none. */
export const step_of = ({ load }: Pick<Steered, 'load'>): LoadStep | null =>
  load === null || load.is_ended || load.failed !== null ? null : (steps_of(load)[load.step] ?? null);

/** The steps that began between two states, the newest hundred, as they were written. */
export function steps_begun(before: Pick<Steered, 'load'>, after: Pick<Steered, 'load'>): readonly string[] {
  if (after.load === null || after.load === before.load) return [];
  const first = before.load?.number === after.load.number ? before.load.step + 1 : 0;
  const begun = steps_of(after.load).slice(first, after.load.step + 1);
  return begun.slice(-MAX_BEGUN).map(({ text }) => text);
}

/** What was asked for by `run_ms`, ms of run time: the steps that were due by then are carried out. */
export function advance<State extends Steered>(state: State, groups: readonly NamedSharing[], run_ms: number): State {
  let now = state;
  for (let due = due_ms(now); due !== null && due <= run_ms; due = due_ms(now)) now = next_step(now, groups, due);
  return now;
}

/**
 * {@link advance} from what is stored, for whoever asks again and again: steps that were played are not played again.
 * `run_ms` does not go back.
 */
export function advancing<State extends Steered>(
  groups: readonly NamedSharing[],
): (stored: State, run_ms: number) => State {
  let last: { readonly stored: State; now: State } | null = null;
  return (stored, run_ms) => {
    if (last?.stored !== stored) last = { stored, now: stored };
    return (last.now = advance(last.now, groups, run_ms));
  };
}

/** When the next step begins, ms of run time; null: nobody can say, or there is none. */
export function due_ms(state: Pick<Steered, 'load' | 'phase'>): number | null {
  const { load } = state;
  const step = step_of(state);
  if (load === null || step === null || load.frozen_ms !== null || is_ending(state) || step.ms === Infinity)
    return null;
  return load.step_ms + step.ms;
}

/** Begins a load at `run_ms`. The caller has read it without a fault. */
export function begin<State extends Steered>(
  state: State,
  load: Pick<Play, 'text' | 'epoch_ms' | 'most' | 'most_per_s'>,
  groups: readonly NamedSharing[],
  run_ms: number,
): State {
  const number = (state.load?.number ?? 0) + 1;
  const place = { step: -1, step_ms: run_ms, frozen_ms: null, is_ended: false, failed: null };
  return next_step({ ...state, load: { ...load, number, ...place } }, groups, run_ms);
}

/** What comes next of a load that plays, for whoever steers by hand beside it; null: nothing does. */
export function next_of(state: Pick<Steered, 'load' | 'phase'>, run_ms: number): NextStep | null {
  const { load } = state;
  const next = load === null || step_of(state) === null ? undefined : steps_of(load)[load.step + 1];
  if (next === undefined || is_ending(state)) return null;
  const due = due_ms(state);
  const waits = load!.frozen_ms === null ? 'waited' : 'resumed';
  return { step: next.text, when: due === null ? waits : Math.max(0, due - run_ms) };
}

/** Where it is, for people; null: no load was begun. */
export function load_summary(state: Pick<Steered, 'load' | 'phase'>, run_ms: number): LoadSummary | null {
  const { load } = state;
  if (load === null) return null;
  const steps = steps_of(load);
  const step = step_of(state);
  const now = load.frozen_ms ?? run_ms;
  const due = due_ms({ ...state, load: { ...load, frozen_ms: null } });
  const left = due === null ? null : Math.max(0, due - now);
  const later = step === null ? [] : steps.slice(load.step + 1);
  const all_left = later.reduce((all, { ms }) => all + (ms === Infinity ? 0 : ms), left ?? 0);
  const last = steps[Math.min(load.step, steps.length - 1)];
  return {
    state: play_state(state, load, step),
    step: Math.min(load.step + 1, steps.length),
    steps: steps.length,
    text: last?.text ?? '',
    seconds: seconds(now - load.step_ms),
    left_seconds: left === null ? null : seconds(left),
    all_left_seconds: is_ending(state) ? 0 : seconds(all_left),
    ...(load.failed !== null && { why: load.failed }),
  };
}

function play_state(state: Pick<Steered, 'load' | 'phase'>, load: Play, step: LoadStep | null): LoadSummary['state'] {
  if (load.failed !== null) return 'failed';
  if (load.is_ended) return 'stopped';
  if (step === null) return 'over';
  if (is_ending(state)) return step.commands[0]!.op === 'stop' ? 'over' : 'stopped';
  if (load.frozen_ms !== null) return 'paused';
  return awaited(state) === null ? 'playing' : 'waiting';
}

/** What becomes of the wait that goes on at `run_ms`: null, it goes on; '', it is over; else why it cannot be met. */
export function judge_wait(
  state: Steered,
  groups: readonly NamedSharing[],
  run_ms: number,
  there: Reached,
): string | null {
  const wait = awaited(state);
  const { load } = state;
  if (wait === null || load === null || load.frozen_ms !== null) return null;
  const wanted = wait.count ?? target_of(state, groups);
  const reached = counted_for(there, wait.what);
  if (reached >= wanted) return '';
  if (run_ms - load.step_ms < (wait.within_ms ?? 0)) return null;
  return `\`${step_of(state)!.text}\`: ${reached} of ${wanted} clients were ${wait.what}`;
}

/** The clients that the load waits for; null: it does not wait. */
export function awaited(state: Pick<Steered, 'load' | 'phase'>): WaitFor | null {
  const command = is_ending(state) ? undefined : step_of(state)?.commands[0];
  return command?.op === 'wait' ? command : null;
}

/** The wait is over: the step after it begins at `run_ms`. */
export const pass = <State extends Steered>(state: State, groups: readonly NamedSharing[], run_ms: number): State =>
  advance(next_step(state, groups, run_ms), groups, run_ms);

/** The load cannot go on: the run ends at `run_ms`. */
export const give_up = <State extends Steered>(
  state: State,
  why: string,
  groups: readonly NamedSharing[],
  run_ms: number,
): State => with_rates({ ...state, phase: 'drain', load: { ...state.load!, failed: why } }, groups, run_ms);

/** Plays no more of the load: as many clients stay as are planned at `run_ms`, and rates are what they are then. */
export function end_load<State extends Steered>(state: State, groups: readonly NamedSharing[], run_ms: number): State {
  const { load } = state;
  if (load === null) return state;
  const stay = ({ target, ramp, labelled }: Sum): Sum => {
    const planned = ramp === null ? target : planned_at(ramp, ramp_ms(state, run_ms));
    return { target: planned, ramp: null, labelled: labels_within(labelled, planned) };
  };
  const own = Object.fromEntries(Object.entries(state.own).map(([group, sum]) => [group, stay(sum)]));
  const is_over = step_of(state) === null;
  const rates = steady(state.rates, groups, run_ms);
  return { ...state, ...stay(state), own, rates, load: is_over ? load : { ...load, frozen_ms: null, is_ended: true } };
}

/** Somebody paused the swarm by hand: ramps stand still, and all comes later by as long as that takes. */
export function freeze<State extends Steered>(state: State, run_ms: number): State {
  const { load } = state;
  if (load === null || load.frozen_ms !== null || step_of(state) === null) return state;
  return { ...state, load: { ...load, frozen_ms: run_ms } };
}

export function thaw<State extends Steered>(state: State, run_ms: number): State {
  const { load } = state;
  if (load === null || load.frozen_ms === null) return state;
  const { frozen_ms } = load;
  const later = (ramp: Ramp | null): Ramp | null => {
    if (ramp === null || ramp.end_ms <= frozen_ms) return ramp;
    const by = run_ms - Math.max(frozen_ms, ramp.start_ms);
    return { ...ramp, start_ms: ramp.start_ms + by, end_ms: ramp.end_ms + by };
  };
  const own = Object.fromEntries(
    Object.entries(state.own).map(([group, sum]) => [group, { ...sum, ramp: later(sum.ramp) }]),
  );
  const moved = { ...load, step_ms: load.step_ms + run_ms - frozen_ms, frozen_ms: null };
  return { ...state, ramp: later(state.ramp), own, load: moved };
}

/** A stretch of run time in which clients go straight from one number to another. */
export interface Piece {
  /** its end, ms of run time; null: nothing changes by itself any more */
  readonly until_ms: number | null;
  /** clients wanted at its end, by group */
  readonly targets: readonly number[];
  /** by group: they go there along a ramp; else they are that many at once */
  readonly ramps: readonly boolean[];
}

/** The piece that goes on at `run_ms`. `state`: as {@link advance} gave it for then. */
export function piece_at(state: Steered, groups: readonly NamedSharing[], run_ms: number): Piece {
  if (ramp_ms(state, run_ms) < run_ms)
    return { until_ms: null, targets: planned_of(state, groups, run_ms), ramps: groups.map(() => false) };
  const end_of = (sum: Sum | undefined): number => (sum?.ramp && sum.ramp.end_ms > run_ms ? sum.ramp.end_ms : Infinity);
  const end_ms = end_of(state);
  const ends = [end_ms, ...Object.values(state.own).map(end_of), due_ms(state) ?? Infinity];
  const kinks = groups.map((group) => kink_ms(state, group, groups, run_ms)).filter((at_ms) => at_ms > run_ms);
  const until_ms = Math.min(...ends, ...kinks);
  const ramps = groups.map(({ name, share }) => (share > 0 && end_ms < Infinity) || end_of(state.own[name]) < Infinity);
  if (until_ms === Infinity) return { until_ms: null, targets: targets_of(state, groups), ramps };
  return { until_ms, targets: planned_of(state, groups, until_ms), ramps };
}

/**
 * When a group of which more were taken than its part of the others has none any more, or some again: from then on it
 * goes on in another direction. The same for whoever asks within a piece; NaN or Infinity: it does not.
 */
function kink_ms({ target, ramp, own }: Steered, group: NamedSharing, groups: readonly NamedSharing[], run_ms: number) {
  const sum = own[group.name];
  if (sum === undefined || (sum.target >= 0 && (sum.ramp?.from ?? 0) >= 0)) return Infinity;
  const line = (clients: number, one: Ramp | null): readonly [at_0: number, per_ms: number] => {
    if (one === null || run_ms >= one.end_ms) return [clients, 0];
    const per_ms = (one.to - one.from) / (one.end_ms - one.start_ms);
    return [one.from - per_ms * one.start_ms, per_ms];
  };
  const part = group.share / groups.reduce((all, { share }) => all + share, 0);
  const [others, its] = [line(target, ramp), line(sum.target, sum.ramp)];
  return -(part * others[0] + its[0]) / (part * others[1] + its[1]);
}

/** Pieces that are looked through for {@link upcoming}. */
const MAX_AHEAD = 1000;

/** What is wanted at the end of a piece. */
export interface Coming {
  /** by group */
  readonly targets: readonly number[];
  /** which one of the list goes before it, when it comes first; null: it goes on */
  readonly after: number | null;
}

/** The same as far as clients go: nobody counts slots. */
const clients_of = (state: Steered, groups: readonly NamedSharing[]): readonly [Steered, NamedSharing[]] => [
  { ...state, rates: {} },
  groups.map(({ name, share }) => ({ name, share })),
];

/**
 * What is wanted at the ends of the pieces to come, the one that goes on first, until a wait: different numbers of
 * clients by group, at most `most` of them. `begun`: as {@link advance} gave it for `run_ms`.
 */
export function upcoming(
  begun: Steered,
  all_groups: readonly NamedSharing[],
  run_ms: number,
  most: number,
): readonly Coming[] {
  // the slots of what is far ahead would have to be drawn
  const [state, groups] = clients_of(begun, all_groups);
  const known = new Map<string, number>();
  const found: Coming[] = [];
  let [now, at_ms] = [state, run_ms];
  let after: number | null = null;
  for (let pieces = 0; pieces < MAX_AHEAD && found.length < most; pieces++) {
    const { until_ms, targets } = piece_at(now, groups, at_ms);
    const name = targets.join();
    const number: number = known.get(name) ?? found.push({ targets, after }) - 1;
    known.set(name, number);
    if (until_ms === null) break;
    [now, at_ms] = [advance(now, groups, until_ms), until_ms];
    after = number;
  }
  return found;
}

/** The most clients that are wanted at once. */
export interface MostWanted {
  /** of each group, perhaps at different times */
  readonly groups: readonly number[];
  readonly all: number;
}

/** What the load asks for at most from its step on, to its end. */
export function peaks_of(begun: Steered, all_groups: readonly NamedSharing[]): MostWanted {
  const [state, groups] = clients_of(begun, all_groups);
  const peaks = groups.map(() => 0);
  let all = 0;
  const raise = (clients: readonly number[]): void => {
    for (const [g, target] of clients.entries()) peaks[g] = Math.max(peaks[g]!, target);
    all = Math.max(
      all,
      clients.reduce((sum, target) => sum + target, 0),
    );
  };
  let at_ms = state.load?.step_ms ?? 0;
  // what is gone at once is asked of nobody
  let now = advance(state, groups, at_ms);
  for (;;) {
    raise(planned_of(now, groups, at_ms));
    const { until_ms, targets } = piece_at(now, groups, at_ms);
    raise(targets);
    if (until_ms !== null) [now, at_ms] = [advance(now, groups, until_ms), until_ms];
    else if (awaited(now) !== null) now = pass(now, groups, at_ms);
    else return { groups: peaks, all };
  }
}

/** The most clients that any of its commands asks for, gone at once or not, whatever it waits for in between. */
export function most_asked(begun: Steered, all_groups: readonly NamedSharing[]): number {
  const [state, groups] = clients_of(begun, all_groups);
  let [now, most] = [state, target_of(state, groups)];
  while (step_of(now) !== null && !is_ending(now)) {
    now = next_step(now, groups, due_ms(now) ?? now.load!.step_ms);
    most = Math.max(most, target_of(now, groups));
  }
  return most;
}

/** The step after the one that goes on begins at `at_ms`. */
export function next_step<State extends Steered>(state: State, groups: readonly NamedSharing[], at_ms: number): State {
  const load: Play = { ...state.load!, step: state.load!.step + 1, step_ms: at_ms };
  let next: State = { ...state, load };
  for (const command of steps_of(load)[load.step]?.commands ?? [])
    next = { ...next, ...change_of(next, load, command, groups, at_ms) };
  return with_rates(next, groups, at_ms);
}

/** What a command of a step makes of it. */
function change_of(
  state: Steered,
  load: Play,
  command: StepCommand,
  groups: readonly NamedSharing[],
  at_ms: number,
): Partial<Steered> {
  if (command.op === 'rate') return { rates: rates_after(state, command, groups, at_ms) };
  if (command.op === 'arrive') return { rates: arrivals_after(state, command, groups, at_ms) };
  if ('over_ms' in command) {
    const { steered, is_over_labels } = aim(state, command, groups, at_ms, {
      most: load.most,
      room_on: () => Infinity,
    });
    return is_over_labels ? {} : steered;
  }
  const changes: { readonly [Op in StepCommand['op']]?: () => Partial<Steered> } = {
    connect_rate: () => ({ connect_per_s: Math.min((command as { readonly per_s: number }).per_s, load.most_per_s) }),
    pause: () => ({ phase: 'pause' }),
    resume: () => ({ phase: 'run' }),
    mark: () => {
      const { text } = command as { readonly text: string };
      return { mark: { text, at_ms: Math.round(load.epoch_ms + at_ms), seq: (state.mark?.seq ?? 0) + 1 } };
    },
    retry_fatal: () => ({ retry_fatal: state.retry_fatal + 1 }),
    stop: () => ({ phase: (command as { readonly now: boolean }).now ? 'stop' : 'drain' }),
  };
  return changes[command.op]?.() ?? {};
}

/** Whoever began the load has looked for the action. */
function rates_after(
  { rates }: Steered,
  command: RateCommand,
  groups: readonly NamedSharing[],
  at_ms: number,
): Steered['rates'] {
  const found = find_rated(groups, command.action);
  return 'key' in found ? retimed(rates, found, command, at_ms) : rates;
}

/** Likewise for the group. */
function arrivals_after(
  { rates }: Steered,
  command: ArriveCommand,
  groups: readonly NamedSharing[],
  at_ms: number,
): Steered['rates'] {
  const found = find_arriving(groups, command.in, false);
  return 'key' in found ? arriving(rates, found, command, at_ms) : rates;
}
