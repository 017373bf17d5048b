/** Members that measure, and the beats of a coordinator that looks at them. */
import { Histogram } from '../../src/metrics/histogram.ts';
import { NO_DEAD, whole_of } from '../../src/metrics/merge-snapshots.ts';
import type { Beat } from '../../src/metrics/series.ts';
import { SlotRecorder } from '../../src/metrics/recorder.ts';
import type { DropReason, Snapshot } from '../../src/metrics/snapshot.ts';
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
    slots: SlotRecorder | null;
  }[];
  readonly #coarse: number;
  connected = 0;
  refused = 0;
  open = 0;
  bytes = 0;

  constructor(actions: number, coarse = 0) {
    this.#coarse = coarse;
    this.#actions = Array.from({ length: actions }, () => ({
      started: 0,
      ok: 0,
      aborted: 0,
      failed: {},
      service: new Histogram(coarse),
      response: new Histogram(coarse),
      slots: null,
    }));
  }

  /** of a rated action */
  slots(action: number): SlotRecorder {
    return (this.#actions[action]!.slots ??= new SlotRecorder(this.#coarse));
  }

  /** A slot came, and was started so late. */
  fire(action: number, late_us: number, us: number): void {
    const slots = this.slots(action);
    slots.planned++;
    slots.late.record(late_us);
    this.ok(action, us);
  }

  /** A slot came, and was given up. */
  drop(action: number, reason: DropReason): void {
    const slots = this.slots(action);
    slots.planned++;
    slots.dropped[reason]++;
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
      actions: this.#actions.map(({ service, response, failed, slots, ...counts }) => ({
        ...counts,
        running: 0,
        failed: { ...failed },
        service: service.snapshot(),
        response: response.snapshot(),
        ...(slots && { slots: slots.snapshot() }),
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
