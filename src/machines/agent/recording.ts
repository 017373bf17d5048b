/** What an agent records of its crews: results, the series of seconds, and the last accounts of ended crews. */
import { within } from '../../foundation/within.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import { Recording } from '../store/course-writer.ts';
import { ResultsWriter } from '../store/results.ts';
import type { Store } from '../store/store.ts';

const CLOSE_WITHIN_MS = 5000;

/** What the crew of an incarnation has measured so far. */
export interface CrewAccount {
  readonly run: string;
  readonly incarnation: string;
  readonly account: SquadAccount;
}

/** Writes results and series of one crew after the other. */
export class CrewRecording extends ResultsWriter {
  readonly #series: Recording;

  constructor(store: Store, id: MemberId) {
    super(store, id);
    this.#series = new Recording(store, id);
  }

  /** To be called each second. `run_ms` null: the time of the run is not known yet. */
  beat(measured: CrewAccount | null, run_ms: number | null): void {
    if (measured) this.#sample(measured, run_ms);
    void this.#series.flush();
  }

  /** The crew has ended: queues its last account. */
  end(measured: CrewAccount, run_ms: number | null): void {
    this.#sample(measured, run_ms);
    void this.#series.flush(true);
    this.retire(measured.run, measured.incarnation, measured.account);
  }

  /** Sends the rest of the series, if the engine answers within 5 s. */
  async close(): Promise<void> {
    await within(this.#series.flush(true), CLOSE_WITHIN_MS, () => undefined);
  }

  #sample({ run, incarnation, account }: CrewAccount, run_ms: number | null): void {
    if (run_ms !== null) this.#series.sample(run, incarnation, run_ms, account);
  }
}
