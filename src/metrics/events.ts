/**
 * What happened when: commands and who gave them, members that came and went, errors of a new kind, and when swarm was
 * saturated.
 */
import { escape_text } from '../foundation/escape.ts';

type EventKind = 'command' | 'mark' | 'agent' | 'worker' | 'error' | 'engine' | 'saturated';

/** Both texts are escaped. */
export interface RunEvent {
  /** grows, from 1 */
  readonly n: number;
  /** ms since the epoch */
  readonly at: number;
  readonly kind: EventKind;
  readonly text: string;
  /** a console session, a worker, an agent, `coordinator` */
  readonly by: string;
}

const MOST = 10_000;
const MAX_TEXT = 300;
const MAX_BY = 100;

/** The newest ten thousand of a run. */
export class Events {
  readonly #wall: () => number;
  readonly #most: number;
  /** the oldest first */
  #events: RunEvent[] = [];
  #n = 0;

  /** `wall`: ms since the epoch. */
  constructor(wall: () => number, most = MOST) {
    this.#wall = wall;
    this.#most = most;
  }

  /** `at`: when it happened, if that is not now. */
  add(kind: EventKind, text: string, by: string, at = this.#wall()): void {
    const event = { at, kind, text: escape_text(text, MAX_TEXT), by: escape_text(by, MAX_BY) };
    this.#events.push({ n: ++this.#n, ...event });
    // not one by one, which would move all the others each time
    if (this.#events.length >= 2 * this.#most) this.#events = this.#kept;
  }

  get #kept(): RunEvent[] {
    return this.#events.slice(-this.#most);
  }

  /** of the newest; 0: there is none */
  get newest(): number {
    return this.#n;
  }

  /** older ones that are no longer there */
  get dropped(): number {
    return Math.max(0, this.#n - this.#most);
  }

  /** The newest `count`, the oldest of them first. */
  last(count: number): readonly RunEvent[] {
    return count < 1 ? [] : this.#events.slice(-Math.min(count, this.#most));
  }

  /** Those newer than number `n`, the oldest first. */
  since(n: number): readonly RunEvent[] {
    return this.last(this.#n - n);
  }
}

/** codes and members that are remembered; beyond these nothing is new */
const MAX_KNOWN = 10_000;

/** Says which kinds of error are new. */
export class ErrorWatch {
  readonly #known = new Set<string>();

  /** The codes that no call before had, each with the text beside it. */
  look(errors: Readonly<Record<string, { readonly last: string }>>): { code: string; text: string }[] {
    const fresh = Object.entries(errors).filter(([code]) => !this.#known.has(code));
    const told = fresh.slice(0, Math.max(0, MAX_KNOWN - this.#known.size));
    for (const [code] of told) this.#known.add(code);
    return told.map(([code, { last }]) => ({ code, text: last }));
  }
}

/** Says how members fare, when that changes. */
export class MemberWatch {
  #known: ReadonlyMap<string, string> = new Map();

  /** `states`: by member. A text is that of one that came, `up → stalled`, or `gone`. */
  look(states: ReadonlyMap<string, string>): { member: string; text: string }[] {
    const before = this.#known;
    this.#known = new Map(states);
    const told = [...states].filter(([member, state]) => before.get(member) !== state);
    const gone = [...before.keys()].filter((member) => !states.has(member));
    return [
      ...told.map(([member, state]) => ({ member, text: [before.get(member) ?? [], state].flat().join(' → ') })),
      ...gone.map((member) => ({ member, text: 'gone' })),
    ];
  }
}
