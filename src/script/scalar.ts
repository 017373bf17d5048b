/** One scalar of YAML → its value, or what is wrong with it. */
import {
  constructFromEvents,
  CORE_SCHEMA,
  EVENT_ID,
  getScalarValue,
  NOT_RESOLVED,
  SCALAR_STYLE,
  YAML11_SCHEMA,
  YAMLException,
  type ScalarEvent,
  type Schema,
} from 'js-yaml';
import { quoted, shown } from './wording.ts';

/** A value that cannot be used comes with `wrong`, which says why. */
export interface Scalar {
  readonly value: unknown;
  readonly wrong?: string;
}

export function read_scalar(source: string, event: ScalarEvent): Scalar {
  if (event.tagStart >= 0) return tagged(source, event);
  const text = getScalarValue(source, event);
  if (event.style !== SCALAR_STYLE.PLAIN) return { value: text };
  const value = resolve(text, CORE_SCHEMA);
  return judged(value, inexact(text, value) ?? ambiguous(text, value));
}

const judged = (value: unknown, wrong: string | undefined): Scalar =>
  wrong === undefined ? { value } : { value, wrong };

/** A scalar with its own tag (`!!str 123`). That is rare, so js-yaml constructs it as a document of one node. */
function tagged(source: string, event: ScalarEvent): Scalar {
  const document = { type: EVENT_ID.DOCUMENT, explicitStart: false, explicitEnd: false, directives: [] };
  try {
    const node = { ...event, anchorStart: -1, anchorEnd: -1 };
    const value = constructFromEvents([document, node, { type: EVENT_ID.POP }], { source })[0];
    return judged(value, inexact(getScalarValue(source, event), value));
  } catch (error) {
    return { value: null, wrong: error instanceof YAMLException ? error.reason : String(error) };
  }
}

function resolve(text: string, schema: Schema): unknown {
  for (const tag of schema.tags) {
    if (tag.nodeKind !== 'scalar' || !tag.implicit) continue;
    if (tag.implicitFirstChars !== null && !tag.implicitFirstChars.includes(text.charAt(0))) continue;
    const value: unknown = tag.resolve(text, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

function inexact(text: string, value: unknown): string | undefined {
  if (typeof value !== 'number') return undefined;
  if (!Number.isFinite(value)) return `${quoted(text)} is not a finite number`;
  const exact = Number.isSafeInteger(value) || !/^[-+]?\d+$/.test(text);
  return exact ? undefined : `${quoted(text)} is too large to be exact as a number: put it in quotes`;
}

/** The types PyYAML gives a plain text, if it does not stay text (its resolver.py, in its order). */
const OLD_KINDS: readonly (readonly [kind: string, is: RegExp])[] = [
  ['boolean', /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/],
  [
    'number',
    /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]\d+)?|\.\d[\d_]*(?:[eE][-+]\d+)?|[-+]?\d[\d_]*(?::[0-5]?\d)+\.[\d_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
  ],
  [
    'number',
    /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][\d_]*)|[-+]?0x[\da-fA-F_]+|[-+]?[1-9][\d_]*(?::[0-5]?\d)+)$/,
  ],
  ['nothing', /^(?:~|null|Null|NULL|)$/],
  [
    'date',
    /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/,
  ],
];

/**
 * The original read YAML 1.1 with PyYAML, where `yes` is true, `010` is 8, `1_000` is 1000, `1:30` is 90, `1e3` is
 * text. A script that silently changes its meaning would be worse than one that does not load.
 */
function ambiguous(text: string, value: unknown): string | undefined {
  const kind = OLD_KINDS.find(([, is]) => is.test(text))?.[0] ?? 'text';
  const now = value === null ? 'nothing' : typeof value === 'string' ? 'text' : typeof value;
  const old = resolve(text, YAML11_SCHEMA);
  if (kind === now && !(kind === 'number' && typeof old === 'number' && !Object.is(old, value))) return undefined;
  const known = typeof old === kind ? shown(old) : kind === 'text' ? 'text' : `a ${kind}`;
  return `${quoted(text)} is ${known} in YAML 1.1 and ${shown(value)} in YAML 1.2: write what you mean, text in quotes`;
}

/** Why a plain key is read differently by YAML 1.1 and 1.2, or undefined. */
export const ambiguous_key = (text: string): string | undefined => ambiguous(text, resolve(text, CORE_SCHEMA));
