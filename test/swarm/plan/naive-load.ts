import { NaiveRate } from './naive-rate.ts';

/**
 * What a load asks for, as somebody with a stop-watch would find out: millisecond by millisecond, client by client, in
 * whole numbers. An oracle that shares no code with the plan.
 */

export interface NaiveGroup {
  readonly name: string;
  readonly share: number;
}

/** By name: actions that have a rate, per second, in the script. */
export type NaiveRates = Readonly<Record<string, number>>;

/** `over`: whole ms; a command that steers clients, or another */
export type NaiveCommand =
  | { readonly op: 'incr' | 'decr' | 'set'; readonly count: number; readonly in?: string; readonly over: number }
  | { readonly op: 'hold'; readonly ms: number }
  | { readonly op: 'connect-rate'; readonly per_s: number }
  | { readonly op: 'rate'; readonly action: string; readonly per_s: number; readonly ramp: number }
  | { readonly op: 'pause' | 'resume' | 'retry fatal' | 'wait' | 'stop' }
  | { readonly op: 'mark'; readonly text: string };

export type NaiveStep = readonly NaiveCommand[];

/** As a load has it. */
export const text_of = (steps: readonly NaiveStep[]): string =>
  steps.map((commands) => commands.map(command_text).join(' & ')).join('; ');

export function command_text(command: NaiveCommand): string {
  if ('over' in command) {
    const { op, count, in: group, over } = command;
    return `${op} ${count}${group === undefined ? '' : ` in ${group}`}${over === 0 ? '' : ` over ${over}ms`}`;
  }
  if (command.op === 'hold') return `hold ${command.ms}ms`;
  if (command.op === 'rate') {
    const { action, per_s, ramp } = command;
    return `rate ${action} ${per_s}/s${ramp === 0 ? '' : ` over ${ramp}ms`}`;
  }
  if (command.op === 'connect-rate') return `connect-rate ${command.per_s}`;
  if (command.op === 'wait') return 'wait within 1h';
  return command.op === 'mark' ? `mark ${command.text}` : command.op;
}

interface Line {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

const flat = (clients: number): Line => ({ from: clients, to: clients, start: 0, end: 0 });

const at = ({ from, to, start, end }: Line, ms: number): number =>
  ms >= end ? to : from + Math.trunc(((to - from) * (ms - start)) / (end - start));

export class NaiveLoad {
  phase: 'run' | 'pause' | 'drain' = 'run';
  per_s: number;
  marks = 0;
  mark = '';
  retries = 0;
  /** of the load; -1: none was begun */
  step = -1;
  /** of the load: by it ramps go on too */
  ms = 0;
  is_ended = false;
  #steps: readonly NaiveStep[] = [];
  /** of the step that goes on: ms of its time that have passed */
  #played = 0;
  is_frozen = false;
  /** by name, those that have begun */
  readonly rates = new Map<string, NaiveRate>();
  readonly #scripted: NaiveRates;
  #base = flat(0);
  #own = new Map<string, Line>();
  readonly #groups: readonly NaiveGroup[];
  /** by n clients: how many of them are of each group */
  readonly #dealt: number[][];

  constructor(groups: readonly NaiveGroup[], per_s: number, rates: NaiveRates = {}) {
    this.#groups = groups;
    this.#scripted = rates;
    this.#dealt = [groups.map(() => 0)];
    this.per_s = per_s;
  }

  /** by group: clients wanted now */
  get planned(): number[] {
    return this.#clients((line) => at(line, this.ms));
  }

  /** by group: clients wanted at the end of all ramps */
  get targets(): number[] {
    return this.#clients(({ to }) => to);
  }

  get is_waiting(): boolean {
    return this.is_playing && this.#steps[this.step]?.[0]?.op === 'wait';
  }

  get is_playing(): boolean {
    return this.phase !== 'drain' && !this.is_ended && this.step < this.#steps.length && this.step >= 0;
  }

  begin(steps: readonly NaiveStep[]): void {
    this.#steps = steps;
    this.is_frozen = false;
    this.step = -1;
    this.#next();
    this.play();
  }

  /** One ms passes. */
  tick(): void {
    this.move();
    this.play();
  }

  move(): void {
    if (this.phase === 'run') for (const rate of this.rates.values()) rate.move();
    if (this.is_frozen) return;
    this.ms++;
    this.#played++;
  }

  /** The wait is over. */
  pass(): void {
    this.#next();
    this.play();
  }

  end_load(): void {
    const stay = (line: Line): Line => flat(at(line, this.ms));
    this.#base = stay(this.#base);
    this.#own = new Map([...this.#own].map(([name, line]) => [name, stay(line)]));
    for (const rate of this.rates.values()) rate.stay();
    this.is_ended = true;
    this.is_frozen = false;
  }

  /** Somebody commands it beside the load. */
  by_hand(command: NaiveCommand): void {
    if (command.op === 'pause') this.is_frozen = this.is_playing;
    if (command.op === 'resume') this.is_frozen = false;
    this.#do(command);
    this.#begin_rates();
  }

  /** Begins the steps that are due. */
  play(): void {
    while (this.is_playing && !this.is_waiting && !this.is_frozen && this.#played >= this.#length) this.#next();
  }

  get #length(): number {
    return Math.max(
      ...this.#steps[this.step]!.map((one) => {
        if (one.op === 'hold') return one.ms;
        return one.op === 'rate' ? one.ramp : 'over' in one ? one.over : 0;
      }),
    );
  }

  #next(): void {
    this.step++;
    this.#played = 0;
    for (const command of this.#steps[this.step] ?? []) this.#do(command);
    this.#begin_rates();
  }

  /** With the first clients that are wanted. */
  #begin_rates(): void {
    if (this.phase === 'drain' || this.targets.every((clients) => clients === 0)) return;
    for (const [name, per_s] of Object.entries(this.#scripted)) if (!this.rates.has(name)) this.#rate(name, per_s, 0);
  }

  #rate(name: string, per_s: number, ramp: number): void {
    const rate = this.rates.get(name) ?? new NaiveRate();
    this.rates.set(name, rate);
    rate.set(per_s, ramp);
  }

  #do(command: NaiveCommand): void {
    if ('over' in command) return this.#aim(command);
    if (command.op === 'rate') this.#rate(command.action, command.per_s, command.ramp);
    if (command.op === 'connect-rate') this.per_s = command.per_s;
    if (command.op === 'pause') this.phase = 'pause';
    if (command.op === 'resume') this.phase = 'run';
    if (command.op === 'stop') this.phase = 'drain';
    if (command.op === 'stop') for (const rate of this.rates.values()) rate.set(0, 0);
    if (command.op === 'retry fatal') this.retries++;
    if (command.op === 'mark') [this.mark, this.marks] = [command.text, this.marks + 1];
  }

  #aim({ op, count, in: group, over }: Extract<NaiveCommand, { readonly over: number }>): void {
    const line = (from: number, to: number): Line =>
      over === 0 ? flat(to) : { from, to, start: this.ms, end: this.ms + over };
    if (group === undefined) {
      const all = this.planned.reduce((sum, clients) => sum + clients, 0);
      const had = this.#base.to;
      const to = op === 'set' ? count : Math.max(0, op === 'incr' ? had + count : had - count);
      this.#base = line(op === 'set' ? all : at(this.#base, this.ms), to);
      if (op === 'set') this.#own = new Map();
      return;
    }
    const g = this.#groups.findIndex(({ name }) => name === group);
    const had = this.targets[g]!;
    const wanted = op === 'set' ? count : Math.max(0, op === 'incr' ? had + count : had - count);
    // what there is of it, less its part of all
    const now = this.planned[g]! - this.#parts(at(this.#base, this.ms))[g]!;
    this.#own.set(group, line(now, wanted - this.#parts(this.#base.to)[g]!));
  }

  #clients(of: (line: Line) => number): number[] {
    const parts = this.#parts(of(this.#base));
    return this.#groups.map(({ name }, g) => Math.max(0, parts[g]! + of(this.#own.get(name) ?? flat(0))));
  }

  /** Each client goes to the group with the fewest for its share. */
  #parts(n: number): number[] {
    while (this.#dealt.length <= n) {
      const parts = [...this.#dealt.at(-1)!];
      let least = -1;
      for (const [g, { share }] of this.#groups.entries())
        if (share > 0 && (least < 0 || parts[g]! * this.#groups[least]!.share < parts[least]! * share)) least = g;
      parts[least]!++;
      this.#dealt.push(parts);
    }
    return this.#dealt[n]!;
  }
}
