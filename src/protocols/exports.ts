/** Checks the exports of a loaded module: which have a meaning, and what shape they must have. */
import { SwarmError } from '../foundation/errors.ts';
import { nearest } from '../foundation/suggest.ts';
import type { Exports } from './import-module.ts';
import { RESERVED_EXPORTS, type ProtocolModule } from './module.ts';

/** The largest `max_reply`: 1 GiB, in bytes. */
const MAX_REPLY = 2 ** 30;

/**
 * The module as the runner calls it: reserved exports checked, the commands' functions picked.
 *
 * @throws SwarmError `bad_module`, naming every export that has the wrong shape and what it should be
 */
export function to_module(exports: Exports, commands: readonly string[], which = ''): ProtocolModule {
  const faults = [...reserved_faults(exports), ...command_faults(exports, commands)];
  if (faults.length > 0) throw new SwarmError('bad_module', { reason: which + faults.join('; ') });
  const picked = (names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.filter((name) => own(exports, name) !== undefined).map((name) => [name, exports[name]]));
  return {
    ...picked(RESERVED_EXPORTS),
    commands: Object.assign(Object.create(null) as Record<string, unknown>, picked(commands)),
  } as ProtocolModule;
}

/** Of several, by name, each with the `commands` of its own; a fault tells which of them is wrong. */
export function to_modules(
  all: ReadonlyMap<string, Exports>,
  commands: (protocol: string) => readonly string[],
): Map<string, ProtocolModule> {
  return new Map(
    [...all].map(([protocol, exports]) => [
      protocol,
      to_module(exports, commands(protocol), of_several(all, protocol)),
    ]),
  );
}

const of_several = (all: ReadonlyMap<string, unknown>, protocol: string): string =>
  all.size > 1 ? `${protocol}: ` : '';

type ExportShape = { readonly wanted: string; is(value: unknown): boolean };

const is_function = (value: unknown): boolean => typeof value === 'function';
const is_object = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const is_framer = (value: unknown): boolean =>
  is_object(value) && is_function(value.frame) && (value.decode == null || is_function(value.decode));

const HOOK: ExportShape = { wanted: 'a function', is: is_function };
const SHAPES: Record<(typeof RESERVED_EXPORTS)[number], ExportShape> = {
  setup: HOOK,
  teardown: HOOK,
  connected: HOOK,
  on_message: HOOK,
  messages: {
    wanted:
      'a framer, an object with frame(buffer, start, end, seen) and maybe decode(buffer, start, end), e.g. line()',
    is: (value) => is_framer(value) && (value as { until_close?: unknown }).until_close === undefined,
  },
  args: {
    wanted: 'an object with a JSON Schema (an object) per command',
    is: (value) => is_object(value) && Object.values(value).every(is_object),
  },
  max_reply: {
    wanted: `a whole number of bytes from 1 to ${MAX_REPLY} (1 GiB)`,
    is: (value) => Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_REPLY,
  },
};

function reserved_faults(exports: Exports): string[] {
  const faults = RESERVED_EXPORTS.filter(
    (name) => own(exports, name) !== undefined && !SHAPES[name].is(exports[name]),
  ).map((name) => `${name} must be ${SHAPES[name].wanted}, not ${kind_of(exports[name])}`);
  if (own(exports, 'on_message') !== undefined && own(exports, 'messages') === undefined)
    faults.push(
      'on_message needs messages, the framer that cuts the inbound stream, e.g. export const messages = line()',
    );
  return faults;
}

function command_faults(exports: Exports, commands: readonly string[]): string[] {
  const known = Object.keys(exports).filter((name) => is_function(exports[name]) && !is_reserved(name));
  const unknown = (name: string): string => {
    const near = nearest(name, known);
    return near === undefined ? '' : `, did you mean ${near}?`;
  };
  const faults: string[] = [];
  for (const name of new Set(commands)) {
    const value = own(exports, name);
    if (is_reserved(name)) faults.push(`${name} is a reserved export, not a command`);
    else if (value === undefined) faults.push(`it exports no ${name}${unknown(name)}`);
    else if (!is_function(value)) faults.push(`${name} must be a function, not ${kind_of(value)}`);
  }
  if (is_object(exports.args))
    for (const name of Object.keys(exports.args))
      if (!known.includes(name)) faults.push(`args.${name} is for no exported function${unknown(name)}`);
  return faults;
}

const is_reserved = (name: string): boolean => (RESERVED_EXPORTS as readonly string[]).includes(name);

const own = (exports: Exports, name: string): unknown => (Object.hasOwn(exports, name) ? exports[name] : undefined);

function kind_of(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return String(value);
  return Array.isArray(value)
    ? 'an array'
    : typeof value === 'object'
      ? 'an object of another shape'
      : `a ${typeof value}`;
}
