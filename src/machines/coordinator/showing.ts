/**
 * What a coordinator of many machines shows: the summary to those who watch, what agents noted, and that the engine is
 * away.
 */
import type { Clock } from '../../foundation/clock.ts';
import type { AgentSummary, Summary } from '../../metrics/summary.ts';
import { Watchers } from '../../swarm/control/watchers.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { PlayedRun } from './picture.ts';
import type { View } from './view.ts';

/** What {@link Showing} needs of its process. */
export interface ShowingOptions {
  readonly timers: Clock;
  readonly on_note: (worker: string, note: Note) => void;
}

/** Begins with the notes of a run that is played; there is no summary before. */
export class Showing {
  readonly #options: ShowingOptions;
  readonly #view: View;
  readonly #watchers: Watchers;
  /** number of the newest note that was shown of each incarnation */
  readonly #notes_shown = new Map<string, number>();
  /** what was said of each agent last; as many as {@link View.members} */
  readonly #healths = new Map<string, AgentSummary['health']>();
  /** count of results when they were looked through last */
  #results_shown = -1;
  #away_since: number | null = null;
  #played: PlayedRun | null = null;
  #final: Summary | null = null;

  constructor(options: ShowingOptions, view: View) {
    this.#options = options;
    this.#view = view;
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
    const summary = this.#played!.picture.summary({ histograms });
    if (this.#away_since === null) return summary;
    const newest = Math.max(...[...this.#view.members.values()].map(({ heard_at }) => heard_at), this.#away_since);
    return { ...summary, engine_away: { since: this.#instant(this.#away_since), figures_of: this.#instant(newest) } };
  }

  /** by the wall clock, of a moment of the monotonic one */
  #instant(at: number): string {
    const { timers } = this.#options;
    return new Date(timers.wall() - (timers.now() - at)).toISOString();
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.#played!.picture.next_interval();
  }

  /** Shows those who watch how it is now. */
  notify(): void {
    if (!this.#played || !this.#view.plan) return;
    this.#played.picture.sample();
    this.#watchers.notify(() => this.summary());
  }

  /** The run has ended: nothing else is shown from now on. */
  finish(final: Summary): void {
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
      on_note('engine', { level: 'info', text: `the engine answers again, after ${seconds} s` });
      this.#away_since = null;
    } else if (!answered && this.#away_since === null) {
      this.#away_since = this.#view.answered_at ?? now;
      const at = this.#instant(this.#away_since);
      on_note('engine', {
        level: 'warn',
        text: `the engine has not answered since ${at}: the load goes on as it is`,
      });
    }
  }

  /** Says how agents fare, when that changes. */
  say_health(): void {
    if (!this.#played) return;
    const { picture } = this.#played;
    for (const id of this.#view.members.keys()) {
      const [before, health] = [this.#healths.get(id), picture.health(id)];
      if (health === before) continue;
      this.#healths.set(id, health);
      const level = health === 'ok' || health === 'loading' || health === 'draining' ? 'info' : 'warn';
      this.#options.on_note(id, { level, text: before === undefined ? health : `${before} → ${health}` });
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
