/**
 * A coordinator of a swarm of many machines. Any number may run: each shows the swarm and takes commands, one of them
 * leads and writes the plan.
 */
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import type { Command, Reply } from '../../grammar/command.ts';
import type { Events } from '../../metrics/events.ts';
import type { Series } from '../../metrics/series.ts';
import type { LoadSummary, Summary } from '../../metrics/summary.ts';
import type { Control } from '../../swarm/plan/control.ts';
import { groups_in_run } from '../../swarm/plan/rated-actions.ts';
import { Waits } from '../../swarm/squad/waits.ts';
import { plan_name, type Bundle, type RunHeader, type SwarmPlan } from '../store/documents.ts';
import { LeaseKeeper } from '../store/lease.ts';
import { LEADERS, Refusals } from '../store/refusals.ts';
import { Commanding, type CommandingOptions } from './commanding.ts';
import { knows_newest } from './leader.ts';
import { Leading, TURN_MS, type LeadingOptions, type RunEnd } from './leading.ts';
import { Picture } from './picture.ts';
import { Showing, type ShowingOptions } from './showing.ts';
import { View } from './view.ts';

const WATCH_MS = 1000;

/** What a coordinator is given by its process. */
export interface ManyCoordinatorOptions extends CommandingOptions, LeadingOptions, ShowingOptions {
  readonly host: string;
  /** where its console listens, for people */
  readonly console: () => string;
  readonly versions: Summary['run']['versions'];
}

/** Begins with {@link attach} and {@link play}, or with {@link start}. Its parts do the rest. */
export class ManyCoordinator implements Control {
  readonly ended: Promise<RunEnd>;
  readonly #options: ManyCoordinatorOptions;
  readonly #view: View;
  readonly #waits: Waits;
  readonly #showing: Showing;
  readonly #leading: Leading;
  readonly #commanding: Commanding;
  readonly #stops: readonly (() => void)[];
  #is_turning = false;
  #is_closed = false;

  constructor(options: ManyCoordinatorOptions) {
    this.#options = options;
    const { store, timers, id, host, lease_ms: ttl_ms } = options;
    this.#waits = new Waits(() => timers.now());
    const lease = new LeaseKeeper({
      store,
      timers,
      id,
      ttl_ms,
      margin_ms: ttl_ms / 10,
      about: () => ({
        console: options.console(),
        host,
        run: this.#view.plan?.doc.run.id ?? null,
        run_ms: this.#view.run_ms,
        plan: this.#view.plan && plan_name(this.#view.plan.doc),
      }),
      knows_newest: (since) => knows_newest(this.#view.plan?.doc, this.#view.members, since),
    });
    const follow = (): void => {
      if (this.#leading.is_due) void this.#turn();
    };
    const changed = (): void => {
      this.#waits.poke();
      follow();
    };
    const refusals = new Refusals((author, text) =>
      options.on_note(author === LEADERS ? 'coordinator' : author, { level: 'warn', text }),
    );
    this.#view = new View(store, timers, lease, changed, refusals);
    this.#showing = new Showing(options, this.#view);
    this.#leading = new Leading(options, lease, this.#view, this.#waits, this.#showing);
    this.#commanding = new Commanding(options, this.#view, this.#waits, this.#leading, this.#showing, follow);
    this.ended = this.#leading.ended;
    this.#stops = [
      timers.every(TURN_MS, () => void this.#turn()),
      timers.every(WATCH_MS, () => {
        const sampled = this.#showing.beat(this.#leading.leads) !== null;
        this.#showing.notify(sampled);
      }),
    ];
  }

  get series(): Series {
    return this.#showing.chronicle.series;
  }

  get events(): Events {
    return this.#showing.chronicle.events;
  }

  /**
   * The run of the store, once known: the plan of the moment.
   * @throws SwarmError `no_run` within `within_ms`, `bad_document` when what is stored cannot be read
   */
  async attach(within_ms: number): Promise<SwarmPlan> {
    const found = await this.#waits.until(() => this.#view.plan !== null && this.#view.desired !== null, within_ms);
    const plan = this.#view.plan?.doc;
    const refused = this.#view.refusals.of(LEADERS);
    if (!found && refused !== null) throw new SwarmError('bad_document', { what: refused });
    if (!found || !plan || plan.stage === 'ended') throw new SwarmError('no_run', {});
    return plan;
  }

  /** What it plays, read and checked by the caller. From now on it leads when nobody else does. */
  play(run: RunHeader, bundle: Bundle): void {
    const { timers, versions } = this.#options;
    const played = { run, bundle, picture: new Picture(this.#view, timers, versions, run, bundle) };
    for (const part of [this.#showing, this.#leading, this.#commanding]) part.play(played);
  }

  /**
   * Begins a new run.
   * @throws SwarmError `run_exists` when one is going on, `engine_lost` when its plan cannot be written
   */
  async start(
    run: RunHeader,
    bundle: Bundle,
    connect_per_s: number,
    is_paused: boolean,
    within_ms: number,
  ): Promise<void> {
    await this.#leading.start(run, groups_in_run(bundle.run.what), connect_per_s, is_paused, within_ms);
    this.play(run, bundle);
    this.#options.store.nudge(null);
  }

  /** Resolves when consoles may steer, or at the deadline: then they are told that the swarm is not ready. */
  async open(within_ms: number): Promise<void> {
    const stage = (): string => this.#view.plan?.doc.stage ?? 'gather';
    await this.#waits.until(() => stage() !== 'gather' && stage() !== 'setup', within_ms);
  }

  apply(command: Command, by: string): Promise<Reply> {
    return this.#commanding.apply(command, `${by} on ${this.#options.host}`);
  }

  watch(listener: (summary: Summary) => void): () => void {
    return this.#showing.watch(listener);
  }

  summary(histograms = false): Summary {
    return this.#showing.summary(histograms);
  }

  /** Where its load is; null: none was begun. */
  load(): LoadSummary | null {
    return this.#showing.load();
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.#showing.next_interval();
  }

  trace(id: number, seconds: number, on_line: (line: string | null) => void): ReturnType<Control['trace']> {
    return this.#commanding.trace(id, seconds, on_line);
  }

  /** Ends this process' part; another coordinator may lead at once. */
  async close(): Promise<void> {
    if (this.#is_closed) return;
    this.#is_closed = true;
    for (const stop of this.#stops) stop();
    this.#view.close();
    this.#commanding.close();
    await this.#leading.close();
  }

  async #turn(): Promise<void> {
    if (this.#is_turning || this.#is_closed) return;
    this.#is_turning = true;
    try {
      this.#showing.say_away(await this.#view.look());
      this.#showing.show_notes();
      this.#showing.show_commands();
      this.#commanding.show_traces();
      await this.#leading.turn();
    } catch (error) {
      this.#options.on_note('coordinator', { level: 'error', text: reason_of(error) });
    } finally {
      this.#is_turning = false;
      this.#waits.poke();
    }
  }
}
