/** What an agent hears: the plan in force, the lease, the time of the run, and how long the engine has been silent. */
import type { Clock } from '../../foundation/clock.ts';
import { Refused } from '../../foundation/shape.ts';
import { plan_name, type Lease, type SwarmPlan } from '../store/documents.ts';
import { LEASE } from '../store/lease.ts';
import { read_lease, read_plan } from '../store/readers.ts';
import { LEADERS, Refusals } from '../store/refusals.ts';
import { RunTime } from '../store/run-time.ts';
import type { Store } from '../store/store.ts';

/** the plan is read at least this often, whatever the lease says */
const READ_MS = 5000;

/** Reads plan and lease, and keeps what is in force. */
export class Hearing {
  readonly #store: Store;
  readonly #timers: Clock;
  /** documents of leaders that this agent refused */
  readonly #refusals: Refusals;
  #plan: SwarmPlan | null = null;
  /** the plan that was read last; `text` is empty when it came with a nudge */
  #read: { readonly text: string; readonly plan: SwarmPlan | Refused } | null = null;
  #read_at = -Infinity;
  /** a nudge said that there is another plan to read */
  #is_nudged = false;
  /** the newest plan that came with a nudge: it has only this agent's part, and may be late */
  #nudged: SwarmPlan | null = null;
  readonly #run_time: RunTime;
  /** when the last answered question was asked, and how long the machine had been suspended until then */
  #answered: { readonly at: number; readonly slept: number };

  /** `on_refusal` is called once for each kind of document that is refused. */
  constructor(store: Store, timers: Clock, on_refusal: (text: string) => void) {
    this.#store = store;
    this.#timers = timers;
    this.#run_time = new RunTime(timers);
    this.#refusals = new Refusals((_, text) => on_refusal(text));
    this.#answered = { at: timers.now(), slept: this.#slept };
  }

  /** the plan in force */
  get plan(): SwarmPlan | null {
    return this.#plan;
  }

  /** why the leaders' newest documents were refused; null: they were not */
  get refuses(): string | null {
    return this.#refusals.of(LEADERS);
  }

  /** ms since the run began; null: not known yet */
  get run_ms(): number | null {
    return this.#run_time.ms;
  }

  /** Converts a time of the run to ms of this clock. Only while {@link run_ms} is known. */
  clock_ms(run_ms: number): number {
    return this.#run_time.clock_ms(run_ms);
  }

  /** when the last answered question was asked, ms; moved back by the time that the machine was suspended since */
  get answered_at(): number {
    return this.#answered.at - (this.#slept - this.#answered.slept);
  }

  get silent_ms(): number {
    return this.#timers.now() - this.answered_at;
  }

  /** To be called before the engine is asked. Call the returned function once the engine has answered all. */
  ask(): () => void {
    const asked = { at: this.#timers.now(), slept: this.#slept };
    return () => {
      if (asked.at > this.#answered.at) this.#answered = asked;
    };
  }

  /**
   * Takes in a nudge. 'take': it is a newer plan of the same run and epoch, stored before it was sent, so it need not
   * be read. 'read': there is something to read. Null: it is no news.
   */
  nudge(text: string): 'take' | 'read' | null {
    const plan = text === '' ? null : read_plan(text);
    const known = this.#nudged ?? this.#plan;
    if (plan === null || plan instanceof Refused || known?.run.id !== plan.run.id || known.epoch !== plan.epoch) {
      this.#is_nudged = true;
      return 'read';
    }
    if (!is_newer(plan, known)) return null;
    this.#nudged = plan;
    return 'take';
  }

  /** Returns the plan that came with a nudge, once. */
  take_nudged(): SwarmPlan | null {
    const plan = this.#nudged;
    this.#nudged = null;
    return this.#plan?.run.id === plan?.run.id ? plan : null;
  }

  /** Reads the lease, and the plan if it is due. Rejects when the engine does not answer. */
  async read(): Promise<{ readonly plan: SwarmPlan | null; readonly lease: Lease | null }> {
    const entry = await this.#store.get(LEASE);
    const lease = this.#checked('lease', entry && read_lease(entry.text));
    const last = this.#read?.plan instanceof Refused ? null : this.#read?.plan;
    const known = last && lease?.plan === plan_name(last) ? last : null;
    // the plan of a large swarm is long, and mostly the one that was read last
    const is_due = this.#is_nudged || this.#timers.now() - this.#read_at >= READ_MS;
    if (!known || is_due) this.#is_nudged = false;
    return { plan: known && !is_due ? known : await this.#read_plan(), lease };
  }

  async #read_plan(): Promise<SwarmPlan | null> {
    const asked_at = this.#timers.now();
    const entry = await this.#store.get('plan');
    this.#read_at = asked_at;
    if (entry && this.#read?.text !== entry.text) this.#read = { text: entry.text, plan: read_plan(entry.text) };
    return this.#checked('plan', entry && this.#read!.plan);
  }

  /** Null: there is none, or it is refused and what was known before stays in force. */
  #checked<T>(what: string, found: T | Refused | null): T | null {
    if (found instanceof Refused) {
      this.#refusals.note(LEADERS, what, found.why);
      return null;
    }
    this.#refusals.clear(LEADERS, what);
    return found;
  }

  /** Puts a plan in force. False: it is older than the one in force. */
  accept(plan: SwarmPlan, lease: Lease | null): boolean {
    // a plan that came with a nudge counts as read
    if (this.#read?.plan !== plan) this.#read = { text: '', plan };
    const old = this.#plan?.run.id === plan.run.id ? this.#plan : null;
    if (old && is_newer(old, plan)) return false;
    // another run: the one before is over
    if (!old) this.#run_time.forget();
    this.#plan = plan;
    if (this.#run_time.ms === null) this.#run_time.hear(plan.run_ms);
    if (lease?.run === plan.run.id) this.#run_time.hear(lease.run_ms);
    return true;
  }

  get #slept(): number {
    return this.#timers.slept?.() ?? 0;
  }
}

const is_newer = (plan: SwarmPlan, than: SwarmPlan): boolean =>
  plan.term > than.term || (plan.term === than.term && plan.revision > than.revision);
