/** What an agent records of its crew: results, the series of its seconds, and the last words of crews before it. */
import { within } from '../../foundation/within.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import { Recording } from '../store/course.ts';
import { ResultsWriter } from '../store/results.ts';
import type { Store } from '../store/store.ts';

const CLOSE_WITHIN_MS = 5000;

/** What the crew of an incarnation measured until now. */
export interface CrewAccount {
  readonly run: string;
  readonly incarnation: string;
  readonly account: SquadAccount;
}

/** Stores what the crews of an agent measure, one crew after the other. */
export class CrewRecording {
  readonly #results: ResultsWriter;
  readonly #series: Recording;

  constructor(store: Store, id: MemberId) {
    this.#results = new ResultsWriter(store, id);
    this.#series = new Recording(store, id);
  }

  /** of the results that were written last of this incarnation, 0 before */
  get seq(): number {
    return this.#results.seq;
  }

  note(worker: MemberId, note: Note): void {
    this.#results.note(worker, note);
  }

  /** To be called each second. `run_ms` null: the run has no seconds yet. */
  beat(measured: CrewAccount | null, run_ms: number | null): void {
    if (measured) this.#sample(measured, run_ms);
    void this.#series.flush();
  }

  /** The crew is over: its last words wait for an engine that takes them. */
  retire(measured: CrewAccount, run_ms: number | null): void {
    this.#sample(measured, run_ms);
    void this.#series.flush(true);
    this.#results.retire(measured.run, measured.incarnation, measured.account);
  }

  /** Stores the last words that wait. False: the engine did not take all of them. */
  send_last_words(): Promise<boolean> {
    return this.#results.send_unsent();
  }

  /** Stores what was measured until now. False: the engine did not take all of it. */
  store({ run, incarnation, account }: CrewAccount): Promise<boolean> {
    return this.#results.tell(run, incarnation, account);
  }

  /** Tells what there is of the series, as far as the engine answers. */
  async close(): Promise<void> {
    await within(this.#series.flush(true), CLOSE_WITHIN_MS, () => undefined);
  }

  #sample({ run, incarnation, account }: CrewAccount, run_ms: number | null): void {
    if (run_ms !== null) this.#series.sample(run, incarnation, run_ms, account);
  }
}
