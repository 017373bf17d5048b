/** What all incarnations of all agents measured, as far as it came. */
import { checked, Refused, token } from '../../foundation/shape.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { LATENCIES, RESULTS, results_key, type Head, type Presence } from '../store/documents.ts';
import { fallen, read_head, read_part } from '../store/readers.ts';
import type { Refusals } from '../store/refusals.ts';
import { Collected } from '../store/results.ts';
import type { Entry } from '../store/store.ts';

/** characters of the results of all incarnations of an agent together: hundreds that measured much */
const MAX_RESULTS = 64 * 1024 * 1024;

/** Agents and incarnations have such names; another one cannot be part of a key. */
export const is_name = (name: string): boolean => !(checked(token, name) instanceof Refused);

/** What is refused leaves what was known. */
export class CollectedResults {
  readonly #results = new Map<string, Collected>();
  readonly #refusals: Refusals;

  constructor(refusals: Refusals) {
    this.#refusals = refusals;
  }

  /** What came of one incarnation; undefined: nothing. */
  of(agent: MemberId, incarnation: string): Collected | undefined {
    return this.#results.get(results_key(agent, incarnation));
  }

  /** Of all incarnations of all agents, by agent and incarnation. */
  all(): Iterable<Collected> {
    return this.#results.values();
  }

  /** Keys of what has not come yet of that which the `members` have told. */
  *missing(members: ReadonlyMap<MemberId, { readonly doc: Presence }>): Iterable<string> {
    for (const [agent, { doc }] of members) {
      const key = results_key(agent, doc.incarnation);
      if ((this.#results.get(key)?.head.doc.seq ?? 0) < doc.results) yield key;
      yield* this.#results.get(key)?.missing ?? [];
    }
  }

  /** Takes a head or a part. refused: for a reason that is news; null: nothing has changed. */
  take(entry: Entry): 'taken' | 'refused' | null {
    return entry.key.startsWith(RESULTS) ? this.#take_head(entry) : this.#take_part(entry);
  }

  #take_head(entry: Entry): 'taken' | 'refused' | null {
    const { key } = entry;
    const known = this.#results.get(key);
    if (known?.head.entry.text === entry.text) return null;
    const [agent, incarnation] = key.slice(RESULTS.length).split('.') as [string, string];
    if (!is_name(agent) || !is_name(incarnation)) return null;
    const found = this.#read_head(agent, entry, known?.head.doc);
    if (found instanceof Refused) return this.#refuse(agent, 'results', found);
    this.#refusals.clear(agent, 'results');
    const head = { entry, doc: found };
    if (!known) this.#results.set(key, new Collected(agent, incarnation, head));
    else if (found.seq <= known.head.doc.seq) return null;
    else known.take_head(head);
    return 'taken';
  }

  #read_head(agent: MemberId, entry: Entry, known: Head | undefined): Head | Refused {
    const found = read_head(entry.text);
    if (found instanceof Refused) return found;
    const lower = known && found.seq > known.seq ? fallen(known, found) : null;
    if (lower !== null) return new Refused(`${lower} is less than it was`);
    return this.#has_room(agent, entry) ? found : new Refused('there is more than can be kept');
  }

  /** One that comes before its head is read again when that is there. */
  #take_part(entry: Entry): 'taken' | 'refused' | null {
    const [agent, incarnation, n] = entry.key.slice(LATENCIES.length).split('.') as [string, string, string];
    const collected = this.of(agent, incarnation);
    const number = Number(n);
    if (!collected || !Object.hasOwn(collected.head.doc.parts, number)) return null;
    const known = collected.part(number);
    if (known?.entry.text === entry.text) return null;
    const found = read_part(entry.text);
    if (found instanceof Refused) return this.#refuse(agent, 'latencies', found);
    if (known && found.seq <= known.doc.seq) return null;
    if (!this.#has_room(agent, entry))
      return this.#refuse(agent, 'latencies', new Refused('there is more than can be kept'));
    this.#refusals.clear(agent, 'latencies');
    collected.take_part(number, { entry, doc: found });
    return 'taken';
  }

  #has_room(agent: MemberId, { text }: Entry): boolean {
    let all = text.length;
    for (const one of this.#results.values()) if (one.agent === agent) all += one.length;
    return all <= MAX_RESULTS;
  }

  #refuse(author: MemberId, what: 'results' | 'latencies', { why }: Refused): 'refused' | null {
    return this.#refusals.note(author, what, why) ? 'refused' : null;
  }
}
