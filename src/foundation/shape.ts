/**
 * Checks what somebody else wrote. A shape returns the value it was given if that is valid, and throws if not. Texts
 * are cut and made safe for a terminal. Values are changed in place, since nobody else holds what was just parsed. Only
 * {@link checked} and {@link reader} call shapes, and they never throw.
 */
import { reason_of } from './errors.ts';
import { cut, escape_lines, escape_text } from './escape.ts';

export type Shape<T> = (value: unknown) => T;

/** Why a document is refused. */
export class Refused {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/** Not an Error: what is thrown ten times a second needs no stack. */
class ShapeFault {
  path = '';
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

/** For shapes written elsewhere; `what` follows the field's name: "is missing". */
export function fault(what: string): never {
  throw new ShapeFault(what);
}

const MAX_SHOWN = 40;
const shown = (key: string): string => escape_text(key, MAX_SHOWN);

function within(key: string, error: unknown): unknown {
  if (error instanceof ShapeFault) error.path = `.${shown(key)}${error.path}`;
  return error;
}

/** Never throws. */
export function checked<T>(shape: Shape<T>, value: unknown): T | Refused {
  try {
    return shape(value);
  } catch (error) {
    return new Refused(error instanceof ShapeFault ? `${error.path || 'it'} ${error.what}` : reason_of(error));
  }
}

/** Reads JSON of at most `most` characters. Never throws. */
export function reader<T>(shape: Shape<T>, most: number): (text: string) => T | Refused {
  return (text) => {
    if (text.length > most) return new Refused(`it has ${text.length} characters, at most ${most} are read`);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return new Refused('it is not JSON');
    }
    return checked(shape, value);
  };
}

/** A number from `min` to `max`, both included. */
export function number(min: number, max: number): Shape<number> {
  return (value) =>
    typeof value === 'number' && value >= min && value <= max ? value : fault(`is not a number from ${min} to ${max}`);
}

export function integer(min: number, max: number): Shape<number> {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : fault(`is not a whole number from ${min} to ${max}`);
}

export const flag: Shape<boolean> = (value) => (typeof value === 'boolean' ? value : fault('is not true or false'));

/** True: for a field that is either true or absent. */
export const yes: Shape<true> = (value) => (value === true ? value : fault('is not true'));

const string_of = (value: unknown): string => (typeof value === 'string' ? value : fault('is not a text'));

/** A text for people, on one line. */
export const text =
  (most: number): Shape<string> =>
  (value) =>
    escape_text(string_of(value), most);

/** A text for people that keeps its lines. */
export const lines =
  (most: number): Shape<string> =>
  (value) =>
    escape_lines(cut(string_of(value), most));

/** A text that is not shown: unchanged, and refused rather than cut. */
export const exact =
  (most: number): Shape<string> =>
  (value) => {
    const found = string_of(value);
    return found.length <= most ? found : fault(`has ${found.length} characters, at most ${most} can be`);
  };

/** Object literals inherit names such as `constructor`. */
const is_inherited = (name: string): boolean => name in Object.prototype;

/** A name that can be part of a stored key. */
export const token: Shape<string> = (value) => {
  const found = string_of(value);
  return /^[\w-]{1,64}$/.test(found) && !is_inherited(found)
    ? found
    : fault('is not a name of letters, digits, _ and -, at most 64');
};

/** A moment as RFC 3339 says it, in UTC. */
export const instant: Shape<string> = (value) => {
  const found = string_of(value);
  return found.length <= 40 &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(found) &&
    Number.isFinite(Date.parse(found))
    ? found
    : fault('is not an instant');
};

export function one_of<const T extends string | number>(...words: readonly T[]): Shape<T> {
  return (value) => words.find((word) => word === value) ?? fault(`is none of ${words.join(', ')}`);
}

export const nullable =
  <T>(of: Shape<T>): Shape<T | null> =>
  (value) =>
    value === null ? null : of(value);

/** A field that may be missing. */
export const optional =
  <T>(of: Shape<T>): Shape<T | undefined> =>
  (value) =>
    value === undefined ? undefined : of(value);

const PLAIN: readonly string[] = ['string', 'number', 'boolean', 'undefined'];

/** {@link flat} calls itself for each level. */
const MAX_DEPTH = 100;

export const any_json: Shape<unknown> = (value) => flat(value, MAX_DEPTH);

function flat(value: unknown, depth: number): unknown {
  if (value === null || PLAIN.includes(typeof value)) return value;
  if (depth === 0) fault('is too deep');
  for (const one of Array.isArray(value) ? value : Object.values(object_of(value))) flat(one, depth - 1);
  return value;
}

export function list<T>(of: Shape<T>, most: number, least = 0): Shape<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return fault('is not a list');
    const found: unknown[] = value;
    if (found.length > most) fault(`has ${found.length} entries, at most ${most} can be`);
    if (found.length < least) fault(`has ${found.length} entries, at least ${least} must be`);
    for (let i = 0; i < found.length; i++) {
      try {
        put(found, i, of(found[i]));
      } catch (error) {
        throw within(String(i), error);
      }
    }
    return found as T[];
  };
}

/** An object with any keys that are words; they may have more signs than a {@link token}. */
export function record<T>(of: Shape<T>, most: number): Shape<Record<string, T>> {
  return named(of, most, (key) =>
    /^[\w.=-]{1,64}$/.test(key) && !is_inherited(key) ? key : fault(`cannot have ${shown(key)}`),
  );
}

/** An object with any keys from anywhere: each is made safe for a terminal. */
export function kinds<T>(of: Shape<T>, most: number): Shape<Record<string, T>> {
  return named(of, most, (key) => (is_inherited(key) ? `${key}_` : escape_text(key, MAX_KIND)));
}

const MAX_KIND = 300;

function named<T>(of: Shape<T>, most: number, name: (key: string) => string): Shape<Record<string, T>> {
  return (value) => {
    const found = object_of(value);
    const keys = Object.keys(found);
    if (keys.length > most) fault(`has ${keys.length} entries, at most ${most} can be`);
    let is_as_it_was = true;
    for (const key of keys) {
      is_as_it_was &&= name(key) === key;
      try {
        put(found, key, of(found[key]));
      } catch (error) {
        throw within(key, error);
      }
    }
    if (is_as_it_was) return found as Record<string, T>;
    return Object.fromEntries(keys.map((key) => [name(key), found[key] as T]));
  };
}

type Fields<T> = { readonly [K in keyof T]-?: Shape<object extends Pick<T, K> ? T[K] | undefined : T[K]> };

/** An object with these fields. Any other field, which another version may know, is dropped. */
export function object<T extends object>(fields: Fields<T>): Shape<T> {
  const all = Object.entries<Shape<unknown>>(fields);
  return (value) => {
    const found = object_of(value);
    let known = 0;
    for (const [key, of] of all) {
      const is_there = Object.hasOwn(found, key);
      if (is_there) known++;
      try {
        put(found, key, of(is_there ? found[key] : undefined));
      } catch (error) {
        throw within(key, error);
      }
    }
    const keys = Object.keys(found);
    if (keys.length > known) for (const key of keys) if (!Object.hasOwn(fields, key)) delete found[key];
    return found as T;
  };
}

/** An object with a value of the same shape under each of `keys`. */
export function fields_of<K extends string, T extends object>(keys: readonly K[], of: Shape<T[keyof T]>): Shape<T> {
  return object(Object.fromEntries(keys.map((key) => [key, of])) as unknown as Fields<T>);
}

function object_of(value: unknown): Record<string, unknown> {
  if (value === undefined) fault('is missing');
  const is_one = typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
  return is_one ? (value as Record<string, unknown>) : fault('is not an object');
}

/** Writes only what changed: most values stay as they are. */
function put(of: Record<string | number, unknown> | unknown[], key: string | number, value: unknown): void {
  const found = of as Record<string | number, unknown>;
  if (found[key] !== value) found[key] = value;
}
