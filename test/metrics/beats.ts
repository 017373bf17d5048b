/** Members that measure, and the beats of a coordinator that looks at them. */
import { Histogram } from '../../src/metrics/histogram.ts';
import { NO_DEAD, whole_of } from '../../src/metrics/merge-snapshots.ts';
import type { Beat } from '../../src/metrics/series.ts';
import type { Snapshot } from '../../src/metrics/snapshot.ts';
import { totals_of, type Totals } from '../../src/metrics/totals.ts';
import { NOTHING, of_main } from './one-group.ts';

/** Counts what its actions do. */
export class FakeRecorder {
  readonly #actions: {
    started: number;
    ok: number;
    aborted: number;
    failed: Record<string, number>;
    service: Histogram;
    response: Histogram;
  }[];
  connected = 0;
  refused = 0;
  open = 0;
  bytes = 0;

  constructor(actions: number, coarse = 0) {
    this.#actions = Array.from({ length: actions }, () => ({
      started: 0,
      ok: 0,
      aborted: 0,
      failed: {},
      service: new Histogram(coarse),
      response: new Histogram(coarse),
    }));
  }

  ok(action: number, us: number): void {
    const one = this.#actions[action]!;
    one.started++;
    one.ok++;
    one.service.record(us);
    one.response.record(2 * us);
    this.bytes += 10;
  }

  fail(action: number, code: string): void {
    const one = this.#actions[action]!;
    one.started++;
    one.failed[code] = (one.failed[code] ?? 0) + 1;
  }

  abort(action: number): void {
    this.#actions[action]!.started++;
    this.#actions[action]!.aborted++;
  }

  snapshot(): Snapshot {
    const none = NOTHING;
    const rounds = (of: 'started' | 'ok'): number => this.#actions.reduce((all, one) => all + one[of], 0);
    return of_main({
      clients: { ...none.clients, states: { ...none.clients.states, acting: this.open } },
      connections: {
        ...none.connections,
        established: this.connected,
        open: this.open,
        failed: this.refused > 0 ? { ECONNREFUSED: this.refused } : {},
      },
      requests: { ...none.requests, sent: rounds('started'), ok: rounds('ok') },
      bytes: { sent: this.bytes, received: 2 * this.bytes },
      actions: this.#actions.map(({ service, response, failed, ...counts }) => ({
        ...counts,
        running: 0,
        failed: { ...failed },
        service: service.snapshot(),
        response: response.snapshot(),
      })),
    });
  }
}

export const totals_now = (members: readonly FakeRecorder[]): Totals =>
  totals_of(
    members.map((member) => member.snapshot()),
    NO_DEAD,
  );

export const names = (count: number): Beat['actions'] =>
  Array.from({ length: count }, (_, i) => ({ group: 'main', name: `say_${i}` }));

export const beat = (run_ms: number, totals: Totals, more: Partial<Beat> = {}): Beat => ({
  run_ms,
  totals,
  actions: names(whole_of(totals.snapshot).actions.length),
  members: [],
  not_told: [],
  ...more,
});
