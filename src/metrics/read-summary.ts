/** Reads a final summary from outside: a file, or what is stored of a run that has ended. The text may be hostile. */
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { reason_of } from '../foundation/errors.ts';
import { Refused } from '../foundation/shape.ts';
import { MAIN } from './groups.ts';
import type { ActionSummary, Summary } from './summary.ts';

const FORMAT = 'swarm-summary/1';
/** An older swarm wrote less. */
type Older<T, K extends keyof T> = Omit<T, K> & Partial<Pick<T, K>>;
type StoredAction = Older<ActionSummary, 'action' | 'group' | 'loop'>;
type StoredMark = Omit<NonNullable<Summary['mark']>, 'actions'> & { readonly actions: readonly StoredAction[] };
type StoredSummary = Omit<Summary, 'actions' | 'mark' | 'clients' | 'connections'> & {
  readonly clients: Older<Summary['clients'], 'finished'>;
  readonly connections: Older<Summary['connections'], 'ready'>;
  readonly actions: readonly StoredAction[];
  readonly mark: StoredMark | null;
};

/** The schema in docs/, at the same path from src/ and from dist/. */
function compile() {
  const schema = JSON.parse(readFileSync(new URL('../../docs/summary.schema.json', import.meta.url), 'utf8'));
  return new Ajv({ allowUnionTypes: true }).compile<StoredSummary>(schema as object);
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
  if (is_summary(value)) {
    const { actions, mark, clients, connections } = value;
    return {
      ...value,
      clients: { finished: 0, ...clients },
      connections: { ready: connections.open, ...connections },
      actions: actions.map(named),
      mark: mark && { ...mark, actions: mark.actions.map(named) },
    };
  }
  const [fault] = is_summary.errors!;
  return new Refused(`${fault!.instancePath || 'it'} ${fault!.message}`);
}

const named = ({
  index,
  command,
  action = command,
  group = MAIN,
  loop = MAIN,
  ...rest
}: StoredAction): ActionSummary => ({
  index,
  command,
  action,
  group,
  loop,
  ...rest,
});

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
