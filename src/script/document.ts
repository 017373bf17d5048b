/**
 * YAML text → plain, frozen values that know where they stand in the file. Reads js-yaml's events itself, because
 * `load` stops at the first fault and forgets positions. It is YAML 1.2 (core schema) with merge keys, which PyYAML
 * takes too.
 */
import {
  EVENT_ID,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
  type AliasEvent,
  type Event,
  type MappingEvent,
  type ScalarEvent,
  type SequenceEvent,
} from 'js-yaml';
import { reason_of } from '../foundation/errors.ts';
import type { Child, Place } from './place.ts';
import { ambiguous_key, read_scalar } from './scalar.ts';
import { quoted } from './wording.ts';

/** Takes a fault: the offset in the text and what is wrong there. */
export type SayFault = (offset: number, message: string) => void;

/** The most values in one file, with every alias expanded. */
const MAX_SIZE = 100_000;
const MAX_DEPTH = 100;
/** Keys that reach an object's prototype in one careless line of a module. */
const FORBIDDEN = ['__proto__', 'constructor', 'prototype'];
/** What may stand between two nodes: blanks, comments, and the punctuation around a node. */
const BETWEEN = /(?:[\s:,'"[\]{}]|#.*)*/y;

/**
 * The one document of `text`; undefined when it cannot be checked further (syntax, empty, an alias bomb), which is
 * reported as a fault.
 */
export function read_document(text: string, report: SayFault): Place | undefined {
  let events: Event[];
  try {
    events = parseEvents(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    report_syntax(error, report);
    return undefined;
  }
  try {
    return new Reader(text, events, report).document();
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    report(error.offset, error.message);
    return undefined;
  }
}

function report_syntax(error: unknown, report: SayFault): void {
  const known = error instanceof YAMLException;
  const offset = (known ? error.mark?.position : undefined) ?? 0;
  report(offset, `not YAML: ${known ? error.reason : reason_of(error)}`);
}

/** Ends the reading: a value that expands without end must not be walked. */
class TooLarge extends Error {
  readonly offset: number;
  constructor(offset: number) {
    super(`this holds more than ${MAX_SIZE} values, counted with every alias expanded`);
    this.offset = offset;
  }
}

class Reader {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #report: SayFault;
  /** null while the anchor's own node is being read: an alias to it there would be a circle */
  readonly #anchors = new Map<string, Place | null>();
  #at = 0;
  /** offset behind what was read last, since a list element without any text has no offset of its own */
  #cursor = 0;

  constructor(text: string, events: readonly Event[], report: SayFault) {
    this.#text = text;
    this.#events = events;
    this.#report = report;
  }

  document(): Place | undefined {
    const first = this.#events[this.#at++];
    const root = first === undefined ? undefined : this.#node(0);
    this.#at++;
    if (root === undefined || root.value === null) {
      if (!root?.faulty) this.#report(root?.offset ?? 0, 'the file is empty: a script has `protocol` and `actions`');
      return undefined;
    }
    if (this.#at < this.#events.length) {
      const markers = [...this.#text.matchAll(/^---(?=\s|$)/gm)];
      const own = first?.type === EVENT_ID.DOCUMENT && first.explicitStart ? 1 : 0;
      this.#report(markers[own]?.index ?? this.#cursor, 'a second document begins here: a script is exactly one');
    }
    return root;
  }

  /** Reads the next node. A value without any text gets the offset `fallback`; for -1 `#skip` finds one. */
  #node(fallback: number): Place {
    const event = this.#events[this.#at++]!;
    switch (event.type) {
      case EVENT_ID.ALIAS:
        return this.#alias(event);
      case EVENT_ID.SCALAR:
        return this.#anchored(event, () => this.#scalar(event, fallback));
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING:
        return this.#anchored(event, () => this.#collection(event));
      default:
        throw new Error('js-yaml: an event that begins no node');
    }
  }

  #anchored({ anchorStart, anchorEnd }: ScalarEvent | SequenceEvent | MappingEvent, read: () => Place): Place {
    if (anchorStart < 0) return read();
    const name = this.#text.slice(anchorStart, anchorEnd);
    this.#anchors.set(name, null);
    const place = read();
    this.#anchors.set(name, place);
    return place;
  }

  #alias({ anchorStart, anchorEnd }: AliasEvent): Place {
    const offset = anchorStart - 1;
    this.#cursor = anchorEnd;
    const name = this.#text.slice(anchorStart, anchorEnd);
    const target = this.#anchors.get(name);
    if (target) return { offset, value: target.value, size: target.size, faulty: target.faulty };
    const circle = target === null;
    this.#report(
      offset,
      circle
        ? `the alias ${quoted(`*${name}`)} stands inside its own anchor`
        : `no anchor ${quoted(`&${name}`)} before this`,
    );
    return { offset, value: null, size: 1, faulty: true };
  }

  #scalar(event: ScalarEvent, fallback: number): Place {
    const from = event.tagStart >= 0 ? event.tagStart : event.valueStart;
    if (from < 0) return { offset: fallback >= 0 ? fallback : this.#skip(), value: null, size: 1, faulty: false };
    const quote = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    const offset = quote && event.tagStart < 0 ? from - 1 : from;
    this.#cursor = Math.max(event.valueEnd, event.tagEnd);
    const { value, wrong } = read_scalar(this.#text, event);
    if (wrong !== undefined) this.#report(offset, wrong);
    return { offset, value, size: 1, faulty: wrong !== undefined };
  }

  /** Finds the offset of an element without any text: its dash. Moves the cursor past it. */
  #skip(): number {
    BETWEEN.lastIndex = this.#cursor;
    BETWEEN.test(this.#text);
    this.#cursor = BETWEEN.lastIndex + 1;
    return BETWEEN.lastIndex;
  }

  #collection(event: SequenceEvent | MappingEvent): Place {
    this.#cursor = event.start;
    const tag = event.tagStart < 0 ? undefined : this.#text.slice(event.tagStart, event.tagEnd);
    const is_sequence = event.type === EVENT_ID.SEQUENCE;
    const unknown = tag !== undefined && tag !== (is_sequence ? '!!seq' : '!!map');
    if (unknown) this.#report(event.tagStart, `unknown tag ${quoted(tag)}`);
    const read = is_sequence ? this.#sequence(event.start) : this.#mapping(event.start);
    return { ...read, offset: event.start, value: Object.freeze(read.value), faulty: unknown };
  }

  #sequence(offset: number): Pick<Place, 'value' | 'size' | 'children'> {
    const value: unknown[] = [];
    const children = new Map<string, Child>();
    let size = 1;
    while (!this.#popped()) {
      const place = this.#node(-1);
      children.set(String(value.length), { key: place.offset, place });
      value.push(place.value);
      size += place.size;
      if (size > MAX_SIZE) throw new TooLarge(offset);
    }
    return { value, size, children };
  }

  #mapping(offset: number): Pick<Place, 'value' | 'size' | 'children'> {
    const children = new Map<string, Child>();
    const merged: Place[] = [];
    let size = 1;
    while (!this.#popped()) {
      const key = this.#key(offset);
      const place = this.#node(key.offset);
      size += place.size;
      if (size > MAX_SIZE) throw new TooLarge(offset);
      if (key.name === undefined) this.#report(key.offset, 'a key must be a plain word');
      else if (FORBIDDEN.includes(key.name))
        this.#report(key.offset, `the key \`${key.name}\` is allowed nowhere in a script`);
      else if (key.merges) merged.push(place);
      else if (children.has(key.name)) this.#report(key.offset, `the key ${quoted(key.name)} is here twice`);
      else children.set(key.name, { key: key.offset, place });
    }
    for (const source of merged) this.#merge(source, children);
    const value: Record<string, unknown> = {};
    for (const [name, { place }] of children) value[name] = place.value;
    return { value, size, children };
  }

  /** A key is its text, whatever type it would have as a value. */
  #key(fallback: number): { name?: string; offset: number; merges: boolean } {
    const event = this.#events[this.#at]!;
    if (event.type !== EVENT_ID.SCALAR) return { offset: this.#node(fallback).offset, merges: false };
    this.#at++;
    const { style, tagStart, valueStart } = event;
    const quote = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED;
    const offset = valueStart < 0 ? fallback : quote ? valueStart - 1 : valueStart;
    const name = getScalarValue(this.#text, event);
    this.#cursor = Math.max(this.#cursor, event.valueEnd);
    this.#anchored(event, () => ({ offset, value: name, size: 1, faulty: false }));
    const wrong = style === SCALAR_STYLE.PLAIN && tagStart < 0 ? ambiguous_key(name) : undefined;
    if (wrong !== undefined) this.#report(offset, `the key ${wrong}`);
    return { name, offset, merges: style === SCALAR_STYLE.PLAIN && tagStart < 0 && name === '<<' };
  }

  /**
   * `<<: *one` or `<<: [*one, *two]` (yaml.org/type/merge). A key that is there already wins, then the first in the
   * list.
   */
  #merge(source: Place, into: Map<string, Child>): void {
    for (const each of Array.isArray(source.value) ? (source.value as unknown[]) : [source.value]) {
      if (typeof each !== 'object' || each === null || Array.isArray(each)) {
        if (!source.faulty) this.#report(source.offset, '`<<` takes a mapping, or a list of mappings');
        return;
      }
      for (const [name, value] of Object.entries(each)) {
        // its size was counted with the source's
        const place = { offset: source.offset, value: value as unknown, size: 0, faulty: source.faulty };
        if (!into.has(name)) into.set(name, { key: source.offset, place });
      }
    }
  }

  #popped(): boolean {
    if (this.#events[this.#at]?.type !== EVENT_ID.POP) return false;
    this.#at++;
    return true;
  }
}
