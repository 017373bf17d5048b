/**
 * What one member counts, by group. Every counter is incremented where its event happens; none is computed from others
 * (docs/summary.md). The path of messages writes plain fields and typed arrays; `snapshot` copies them in one
 * synchronous turn.
 */
import { cut } from '../foundation/escape.ts';
import { Histogram } from './histogram.ts';
import {
  CLOSE_CAUSES,
  type ActionSnapshot,
  type CloseCause,
  type DropReason,
  type ErrorKind,
  type GroupSnapshot,
  type SlotSnapshot,
  type Snapshot,
} from './snapshot.ts';
import { ENDS, STATES, type State } from './state.ts';

/** Codes counted apart; the rest is counted under `other`, since errno values and error names come from outside. */
const MAX_CODES = 100;
/** endpoints counted apart; the rest is counted together, since a name service may bring new ones for ever */
const MAX_ENDPOINTS = 100;
/**
 * With more actions, times are measured in wider steps, for a thousand actions of 1.6 %. Otherwise each would take 400
 * KB, to be looked through every second.
 */
const FINE_ACTIONS = 65;
/** characters kept of an error's last text, which comes from outside and travels in every account */
const MAX_TEXT = 300;

/** Counts by code, bounded. */
export class CodeCounts {
  readonly #counts = new Map<string, number>();
  add(code: string): void {
    const known = this.#counts.get(code);
    if (known === undefined && this.#counts.size >= MAX_CODES) return this.add_other();
    this.#counts.set(code, (known ?? 0) + 1);
  }
  add_other(): void {
    this.#counts.set('other', (this.#counts.get('other') ?? 0) + 1);
  }
  snapshot(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** What becomes of the slots of a rated action, see SlotSnapshot. */
export class SlotRecorder {
  planned = 0;
  waiting = 0;
  readonly dropped: Record<DropReason, number> = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
  tardy = 0;
  readonly late: Histogram;

  constructor(coarse: number) {
    this.late = new Histogram(coarse);
  }

  snapshot(): SlotSnapshot {
    return {
      planned: this.planned,
      waiting: this.waiting,
      dropped: { ...this.dropped },
      tardy: this.tardy,
      late: this.late.snapshot(),
    };
  }
}

export class ActionRecorder {
  started = 0;
  running = 0;
  ok = 0;
  aborted = 0;
  readonly failed = new CodeCounts();
  /** only of rounds that ended ok, so that its count equals `ok` */
  readonly service: Histogram;
  readonly response: Histogram;
  /** null: it has no rate */
  slots: SlotRecorder | null = null;
  readonly #coarse: number;

  constructor(coarse: number) {
    this.#coarse = coarse;
    this.service = new Histogram(coarse);
    this.response = new Histogram(coarse);
  }

  /** It is played at a rate. */
  rated(): SlotRecorder {
    return (this.slots ??= new SlotRecorder(this.#coarse));
  }

  snapshot(): ActionSnapshot {
    return {
      started: this.started,
      running: this.running,
      ok: this.ok,
      failed: this.failed.snapshot(),
      aborted: this.aborted,
      service: this.service.snapshot(),
      response: this.response.snapshot(),
      ...(this.slots && { slots: this.slots.snapshot() }),
    };
  }
}

/** What became of the connections to one endpoint. */
export class EndpointRecorder {
  attempted = 0;
  connecting = 0;
  established = 0;
  open = 0;
  failed = 0;
  cancelled = 0;
  closed = 0;
}

/** Errors of a process by code, bounded, with the newest text of each. */
class ErrorKinds {
  readonly #kinds = new Map<string, { count: number; last: string; last_at: number; sample?: string }>();

  /** Counts an error by its code. `text` says what happened. `sample` is the first bytes of a wrong reply, escaped. */
  add(code: string, text: string, sample?: string): void {
    let kind = this.#kinds.get(code);
    if (kind === undefined) {
      if (this.#kinds.size >= MAX_CODES && code !== 'other') return this.add('other', text, sample);
      kind = { count: 0, last: '', last_at: 0 };
      this.#kinds.set(code, kind);
    }
    kind.count++;
    kind.last = cut(text, MAX_TEXT);
    kind.last_at = Date.now();
    // the sample of another reply must not stand beside this text
    if (sample === undefined) delete kind.sample;
    else kind.sample = sample;
  }

  snapshot(): Snapshot['errors'] {
    return Object.fromEntries([...this.#kinds].map(([code, kind]): [string, ErrorKind] => [code, { ...kind }]));
  }
}

/** What the clients of one group count: they hold it, and look nothing up. */
export class GroupRecorder {
  readonly clients = {
    created: 0,
    killed_decr: 0,
    killed_stop: 0,
    done: 0,
    /** of those that are done, who has played all iterations and keeps its place */
    finished: 0,
    draining: 0,
    live: 0,
    peak: 0,
  };
  /** gauges by index of STATES */
  readonly states = new Int32Array(STATES.length);
  /** by index of STATES, then of ENDS */
  readonly entered = new Float64Array(STATES.length + ENDS.length);
  readonly connections = {
    attempted: 0,
    connecting: 0,
    established: 0,
    open: 0,
    open_peak: 0,
    cancelled: 0,
    ports_skipped: 0,
  };
  readonly connect_failed = new CodeCounts();
  readonly closed: Record<CloseCause, number> = Object.fromEntries(CLOSE_CAUSES.map((cause) => [cause, 0])) as Record<
    CloseCause,
    number
  >;
  readonly connect = new Histogram();
  /** TLS: from the TCP connection to the first byte that may be sent */
  readonly handshake = new Histogram();
  readonly #endpoints = new Map<string, EndpointRecorder>();
  readonly requests = { sent: 0, in_flight: 0, ok: 0, wrong: 0, timeout: 0, aborted: 0, noreply: 0, unasked_bytes: 0 };
  readonly bytes = { sent: 0, received: 0 };
  readonly actions: readonly ActionRecorder[];
  readonly #errors: ErrorKinds;

  constructor(actions: number, coarse: number, errors: ErrorKinds) {
    this.#errors = errors;
    this.actions = Array.from({ length: actions }, () => new ActionRecorder(coarse));
  }

  /** See {@link ErrorKinds}: errors are those of the process. */
  error(code: string, text: string, sample?: string): void {
    this.#errors.add(code, text, sample);
  }

  /** The counters of the endpoint with this name, or of `other` beyond the hundredth name. */
  endpoint(name: string): EndpointRecorder {
    let known = this.#endpoints.get(name);
    if (known === undefined) {
      if (this.#endpoints.size >= MAX_ENDPOINTS && name !== 'other') return this.endpoint('other');
      known = new EndpointRecorder();
      this.#endpoints.set(name, known);
    }
    return known;
  }

  snapshot(): GroupSnapshot {
    const { clients } = this;
    return {
      clients: {
        created: clients.created,
        killed: { decr: clients.killed_decr, stop: clients.killed_stop },
        done: clients.done,
        draining: clients.draining,
        finished: clients.finished,
        peak: clients.peak,
        states: Object.fromEntries(STATES.map((state, i) => [state, this.states[i]!])) as Record<State, number>,
        entered: Object.fromEntries([...STATES, ...ENDS].map((state, i) => [state, this.entered[i]!])),
      },
      connections: {
        ...this.connections,
        failed: this.connect_failed.snapshot(),
        closed: { ...this.closed },
        connect: this.connect.snapshot(),
        handshake: this.handshake.snapshot(),
      },
      endpoints: Object.fromEntries(
        [...this.#endpoints].map(([name, counts]) => [name, { ...counts, lost: 0, lost_connecting: 0 }]),
      ),
      requests: { ...this.requests },
      bytes: { ...this.bytes },
      actions: this.actions.map((action) => action.snapshot()),
    };
  }
}

export class Recorder {
  readonly #groups = new Map<string, GroupRecorder>();
  readonly #errors = new ErrorKinds();

  /**
   * What the group of this name counts with. The first call makes it: with so many `actions`, one for `connected` among
   * them; `of_all`: those of all groups together.
   */
  group(name: string, actions: number, of_all = actions): GroupRecorder {
    let known = this.#groups.get(name);
    if (known === undefined) {
      const coarse = Math.max(0, Math.ceil(Math.log2(of_all / FINE_ACTIONS)));
      known = new GroupRecorder(actions, coarse, this.#errors);
      this.#groups.set(name, known);
    }
    return known;
  }

  /** Counts an error that happened outside of any group. */
  error(code: string, text: string): void {
    this.#errors.add(code, text);
  }

  snapshot(generator: Snapshot['generator']): Snapshot {
    const groups = Object.fromEntries([...this.#groups].map(([name, group]) => [name, group.snapshot()]));
    return { groups, errors: this.#errors.snapshot(), generator };
  }
}
