/**
 * What a coordinator of many machines shows: the summary to those who watch, what agents noted, and that the engine is
 * away.
 */
import type { Clock } from '../../foundation/clock.ts';
import type { LoadSummary, Summary } from '../../metrics/summary.ts';
import type { Totals } from '../../metrics/totals.ts';
import { Chronicle } from '../../swarm/control/chronicle.ts';
import { Watchers } from '../../swarm/control/watchers.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { SaidCommand } from '../store/documents.ts';
import type { PlayedRun } from './picture.ts';
import type { View } from './view.ts';

/** What {@link Showing} needs of its process. */
export interface ShowingOptions {
  readonly timers: Clock;
  readonly on_note: (worker: string, note: Note) => void;
}

/** Begins with the notes of a run that is played; there is no summary before. */
export class Showing {
  readonly chronicle: Chronicle;
  readonly #options: ShowingOptions;
  readonly #view: View;
  readonly #watchers: Watchers;
  /** number of the newest note that was shown of each incarnation */
  readonly #notes_shown = new Map<string, number>();
  /** of the commands that are stored, those that stand among the events */
  #commands_shown: ReadonlySet<string> = new Set();
  /** count of results when they were looked through last */
  #results_shown = -1;
  #away_since: number | null = null;
  #played: PlayedRun | null = null;
  #final: Summary | null = null;

  constructor(options: ShowingOptions, view: View) {
    this.#options = options;
    this.#view = view;
    this.chronicle = new Chronicle({ wall: () => options.timers.wall(), on_note: options.on_note }, 'agent');
    this.#watchers = new Watchers(options.on_note);
  }

  /** From now on it shows this run. */
  play(played: PlayedRun): void {
    this.#played = played;
  }

  /** Calls `listener` with each new summary until the returned function is called. */
  watch(listener: (summary: Summary) => void): () => void {
    return this.#watchers.add(listener);
  }

  /** The summary of now; the final one once there is one. */
  summary(histograms = false): Summary {
    if (this.#final) return this.#final;
    const summary = this.chronicle.judged(this.#played!.picture.summary({ histograms }));
    if (this.#away_since === null) return summary;
    const newest = Math.max(...[...this.#view.members.values()].map(({ heard_at }) => heard_at), this.#away_since);
    return { ...summary, engine_away: { since: this.#instant(this.#away_since), figures_of: this.#instant(newest) } };
  }

  /** by the wall clock, of a moment of the monotonic one */
  #instant(at: number): string {
    const { timers } = this.#options;
    return new Date(timers.wall() - (timers.now() - at)).toISOString();
  }

  /** Where the load is; null: none was begun. */
  load(): LoadSummary | null {
    return this.#final ? (this.#final.load ?? null) : (this.#played?.picture.load() ?? null);
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.chronicle.judged(this.#played!.picture.next_interval());
  }

  /** Shows those who watch how it is now. `sampled`: it was looked at for the marks in this second. */
  notify(sampled = false): void {
    if (!this.#played || !this.#view.plan) return;
    if (!sampled) this.#played.picture.sample();
    this.#watchers.notify(() => this.summary());
  }

  /** Has commands among the events that were carried out since the last call, whoever took them. */
  show_commands(): void {
    const { said = [] } = this.#view.desired?.doc ?? {};
    const key_of = ({ seq, at_ms, by }: SaidCommand): string => `${seq} ${at_ms} ${by}`;
    for (const one of said)
      if (!this.#commands_shown.has(key_of(one))) this.chronicle.commanded(one.text, one.by, one.at_ms);
    this.#commands_shown = new Set(said.map(key_of));
  }

  /**
   * To be called once a second: what happened since the last call. Who leads logs how agents fare, when that changes.
   * Null: no run is played.
   */
  beat(leads = false): Totals | null {
    if (!this.#played || !this.#view.plan || this.#final) return null;
    const { picture } = this.#played;
    for (const text of picture.steps_begun()) this.chronicle.commanded(text, 'the load');
    const agents = picture.agents();
    picture.sample(agents);
    const beat = picture.beat(agents);
    const changed = this.chronicle.beat(beat, new Map(agents.map(({ id, health }) => [id, health])));
    for (const { member, text } of leads ? changed : [])
      this.#options.on_note(member, { level: 'info', text: `agent: ${text}` });
    return beat.totals;
  }

  /** The final summary, before it is stored: it is balanced only if all seconds of the series add up to it. */
  checked(final: Summary): Summary {
    const totals = this.beat();
    return totals === null ? final : this.chronicle.checked(final, totals);
  }

  /** The run has ended: nothing else is shown from now on. */
  finish(final: Summary): void {
    this.beat();
    this.#final = final;
    this.notify();
  }

  /** So long the engine has not answered; null: it does. */
  get away_ms(): number | null {
    return this.#away_since === null ? null : this.#options.timers.now() - this.#away_since;
  }

  /** Says when the engine ceases to answer, and when it does again. */
  say_away(answered: boolean): void {
    const { timers, on_note } = this.#options;
    const now = timers.now();
    if (answered && this.#away_since !== null) {
      const seconds = Math.round((now - this.#away_since) / 1000);
      const text = `the engine answers again, after ${seconds} s`;
      on_note('engine', { level: 'info', text });
      this.chronicle.events.add('engine', text, 'coordinator');
      this.#away_since = null;
    } else if (!answered && this.#away_since === null) {
      this.#away_since = this.#view.answered_at ?? now;
      const text = `the engine has not answered since ${this.#instant(this.#away_since)}: the load goes on as it is`;
      on_note('engine', { level: 'warn', text });
      this.chronicle.events.add('engine', text, 'coordinator');
    }
  }

  /** Says what agents noted since the last call. */
  show_notes(): void {
    if (this.#view.heard_results === this.#results_shown) return;
    this.#results_shown = this.#view.heard_results;
    for (const { agent, incarnation, results } of this.#view.results(this.#played?.run.id ?? '')) {
      const key = `${agent}.${incarnation}`;
      const shown = this.#notes_shown.get(key) ?? 0;
      for (const note of results.notes) if (note.n > shown) this.#options.on_note(`${agent}/${note.worker}`, note);
      const last = results.notes.at(-1)?.n ?? 0;
      if (last > shown) this.#notes_shown.set(key, last);
    }
  }
}
