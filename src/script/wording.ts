/** What ajv finds, in words for whoever wrote the YAML. */
import type { ErrorObject } from 'ajv';
import { nearest } from '../foundation/suggest.ts';

export interface Finding {
  /** JSON pointer (RFC 6901) into the value that was validated */
  readonly pointer: string;
  /** whether its key is wrong, or its value */
  readonly of: 'key' | 'value';
  readonly keyword: string;
  /** what is wrong, or what the key is in */
  readonly value: unknown;
  readonly message: string;
}

/** errors that are compared with each other; nobody reads that many */
const MAX_ERRORS = 1000;

/**
 * The findings of a validation with `allErrors` and `verbose`, without those that only repeat others; `root` names the
 * whole value.
 */
export function findings(all: readonly ErrorObject[], root: string): Finding[] {
  const errors = all.slice(0, MAX_ERRORS);
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  return errors
    .filter((error) => !repeats(error, errors) && !choices.some((choice) => is_branch(error, choice)))
    .map((error) => finding(error, root, errors));
}

function repeats(error: ErrorObject, errors: readonly ErrorObject[]): boolean {
  if (error.keyword === 'if' || error.keyword === 'propertyNames') return true;
  // A mistyped key is not missing as well.
  const { missingProperty: missing } = error.params as Record<string, string>;
  return (
    error.keyword === 'required' &&
    errors.some(
      (other) => other.instancePath === error.instancePath && missing !== undefined && meant(other) === missing,
    )
  );
}

/** ajv reports what each branch of a choice lacks, and then the choice itself. */
function is_branch(error: ErrorObject, choice: ErrorObject): boolean {
  return (
    error !== choice &&
    error.instancePath.startsWith(choice.instancePath) &&
    error.schemaPath.startsWith(`${choice.schemaPath}/`)
  );
}

function meant({ keyword, params, parentSchema }: ErrorObject): string | undefined {
  if (keyword !== 'additionalProperties') return undefined;
  const known = Object.keys((parentSchema as { properties?: object }).properties ?? {});
  return nearest((params as { additionalProperty: string }).additionalProperty, known);
}

function finding(error: ErrorObject, root: string, errors: readonly ErrorObject[]): Finding {
  const { keyword, instancePath, data } = error;
  const name = instancePath === '' ? root : quoted(label(instancePath));
  const params = error.params as Record<string, unknown>;
  const value = (message: string): Finding => ({
    pointer: instancePath,
    of: 'value',
    keyword,
    value: data,
    message,
  });
  const key = (of: string, message: string): Finding => ({
    pointer: `${instancePath}/${to_token(of)}`,
    of: 'key',
    keyword,
    value: data,
    message,
  });
  if (error.propertyName !== undefined)
    return key(error.propertyName, `${name}: the key ${quoted(error.propertyName)} ${tidy(error.message)}`);
  switch (keyword) {
    case 'additionalProperties': {
      const unknown = String(params['additionalProperty']);
      return key(unknown, `unknown key ${quoted(unknown)}${did_you_mean(meant(error))}`);
    }
    case 'required':
      return value(`${name} lacks the key ${quoted(String(params['missingProperty']))}`);
    case 'type': {
      const types = type_names(error);
      const hint =
        types.includes(TYPES['string']!) && /^(number|boolean)$/.test(typeof data) ? ': put it in quotes' : '';
      return value(`${name} must be ${types.join(' or ')}, not ${shown(data)}${hint}`);
    }
    case 'enum': {
      const allowed = params['allowedValues'] as unknown[];
      const words = allowed.filter((each) => typeof each === 'string');
      const near = typeof data === 'string' ? nearest(data, words) : undefined;
      return value(
        `${name} must be one of ${list(allowed.map((each) => (typeof each === 'string' ? quoted(each) : shown(each))))}, not ${shown(data)}${did_you_mean(near)}`,
      );
    }
    case 'const':
      return value(`${name} must be ${shown(params['allowedValue'])}, not ${shown(data)}`);
    case 'anyOf':
    case 'oneOf': {
      if (params['passingSchemas']) return value(`${name} fits more than one of the shapes of which it must have one`);
      const branches = errors.filter((each) => is_branch(each, error));
      const typed = branches.every((each) => each.keyword === 'type' && each.instancePath === instancePath);
      if (!typed) return value(`${name} fits none of the shapes it may have`);
      return value(`${name} must be ${branches.flatMap(type_names).join(' or ')}, not ${shown(data)}`);
    }
    default:
      return value(`${name} ${tidy(error.message)}${typeof data === 'object' ? '' : `, not ${shown(data)}`}`);
  }
}

const TYPES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing',
};

const type_names = ({ params }: ErrorObject): string[] =>
  [(params as { type: string | string[] }).type].flat().map((type) => TYPES[type] ?? type);

const tidy = (message = 'is wrong'): string => message.replace('NOT', 'not').replaceAll('"', '`');
export const to_token = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
const from_token = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~');

/** The keys of a JSON pointer, outermost first. */
export function keys_of(pointer: string): string[] {
  return pointer.split('/').slice(1).map(from_token);
}

/** `/actions/0/rounds` → `rounds`, `/actions/0` → `actions[0]`: the last name and what follows it. */
export function label(pointer: string): string {
  let name = '';
  for (const key of keys_of(pointer)) name = /^\d+$/.test(key) ? `${name}[${key}]` : key;
  return name;
}

export const did_you_mean = (near: string | undefined): string =>
  near === undefined ? '' : `, did you mean \`${near}\`?`;
export const quoted = (word: string): string =>
  `\`${word.length > MAX_SHOWN ? `${word.slice(0, MAX_SHOWN)}…` : word}\``;

/** At most ten of the words, with commas. */
export function list(words: readonly string[]): string {
  return words.length > 10 ? `${words.slice(0, 10).join(', ')} … (${words.length} in all)` : words.join(', ');
}

const MAX_SHOWN = 60;

/** A value as a reader of the file would name it, in some 60 characters at most. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the text ${quoted(value)}`;
    case 'number':
    case 'boolean':
      return String(value);
    case 'object':
      if (Array.isArray(value)) return 'a list';
      return value === null ? 'nothing' : 'a mapping';
    default:
      return value === undefined ? 'nothing' : `a ${typeof value}`;
  }
}
