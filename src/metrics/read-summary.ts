/** Reads a final summary from outside: a file, or what is stored of a run that has ended. The text may be hostile. */
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { reason_of } from '../foundation/errors.ts';
import { Refused } from '../foundation/shape.ts';
import type { Summary } from './summary.ts';

const FORMAT = 'swarm-summary/1';
/** The schema in docs/, at the same path from src/ and from dist/. */
function compile() {
  const schema = JSON.parse(readFileSync(new URL('../../docs/summary.schema.json', import.meta.url), 'utf8'));
  return new Ajv({ allowUnionTypes: true }).compile<Summary>(schema as object);
}

let is_summary: ReturnType<typeof compile> | null = null;

/** Never throws. */
export function read_summary(text: string): Summary | Refused {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return new Refused(`it is not JSON: ${reason_of(error)}`);
  }
  if (field(value, 'format') !== FORMAT) return new Refused(`its format is not ${FORMAT}`);
  if (field(value, 'final') !== true) return new Refused('it is not final: the run was still going on');
  is_summary ??= compile();
  if (is_summary(value)) return value;
  const [fault] = is_summary.errors!;
  return new Refused(`${fault!.instancePath || 'it'} ${fault!.message}`);
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
