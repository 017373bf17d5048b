/** Checks a script against its protocol modules before the first socket: every action's command and args. */
import { Ajv, type ValidateFunction } from 'ajv';
import { reason_of } from '../foundation/errors.ts';
import { nearest } from '../foundation/suggest.ts';
import { RESERVED_EXPORTS } from '../protocols/module.ts';
import { in_file_order, type Fault } from './fault.ts';
import type { CheckableGroup, CheckableScript } from './parse.ts';
import { did_you_mean, findings, list, quoted, shown } from './wording.ts';

/** The parts of a module that are checked: its exports, and its `args`, one JSON Schema (draft-07) per command. */
export interface CheckedModule {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly args?: Readonly<Record<string, object>>;
}

/**
 * All faults, in the order of the file. Values already known to be faulty are left out. A fault of the module's own
 * `args` is shown where the script names it first. `modules`: those of all groups, by name.
 */
export function check_actions(
  { groups, where }: CheckableScript,
  file: string,
  modules: ReadonlyMap<string, CheckedModule>,
): Fault[] {
  const faults: Fault[] = [];
  const report: Report = (pointer, of, message) => {
    const position = where(pointer, of);
    if (position !== undefined) faults.push({ file, ...position, message });
  };
  for (const [protocol, module] of modules) {
    const of_module = groups.filter((group) => group.protocol === protocol);
    const check = checker(protocol, module, of_module[0]?.protocol_at ?? '', report);
    for (const { loops, loops_at, actions } of of_module) {
      if (loops > 1 && module.exports['messages'] === undefined) report(loops_at, 'key', no_matcher(protocol, loops));
      for (const action of actions) {
        check(action);
        if (typeof action.at_once === 'number' && action.at_once > 1 && module.exports['messages'] === undefined)
          report(`${action.at}/at_once`, 'value', no_matcher_for(protocol, action.at_once));
      }
    }
  }
  return in_file_order(faults);
}

type Report = (pointer: string, of: 'value' | 'key', message: string) => void;

const no_matcher = (protocol: string, loops: number): string =>
  `these ${loops} loops are played at once on one connection, and the module ${quoted(protocol)} does not tell whose a ` +
  `reply is: export \`messages\` there, or write one list of \`actions\` here`;

const no_matcher_for = (protocol: string, at_once: number): string =>
  `a client would run ${at_once} rounds at once on one connection, and the module ${quoted(protocol)} does not tell whose ` +
  `a reply is: export \`messages\` there, or leave \`at_once\` out`;

/** What checks an action of this module. */
function checker(
  protocol: string,
  module: CheckedModule,
  protocol_at: string,
  report: Report,
): (action: CheckableGroup['actions'][number]) => void {
  const functions = Object.keys(module.exports).filter(
    (name) => typeof module.exports[name] === 'function' && !(RESERVED_EXPORTS as readonly string[]).includes(name),
  );
  const validators = compile(module.args ?? {}, functions, (message) => report(protocol_at, 'value', message));
  return ({ at, command, args }) => {
    const wrong = check_command(command, protocol, module.exports, functions);
    if (wrong !== undefined) report(`${at}/command`, 'value', wrong);
    const validate = validators.get(command);
    if (validate === undefined || validate(args)) return;
    for (const found of findings(validate.errors ?? [], '`args`'))
      report(`${at}/args${found.pointer}`, found.of, found.message);
  };
}

function check_command(
  command: string,
  protocol: string,
  exports: CheckedModule['exports'],
  functions: readonly string[],
): string | undefined {
  if (functions.includes(command)) return undefined;
  if (Object.hasOwn(exports, command))
    return `${quoted(command)} of the module ${quoted(protocol)} is not a function: it is ${shown(exports[command])}`;
  const near = nearest(command, functions);
  const instead = near === undefined ? `; it has ${list(functions.map(quoted)) || 'no functions'}` : did_you_mean(near);
  return `the module ${quoted(protocol)} does not export ${quoted(command)}${instead}`;
}

function compile(
  schemas: Readonly<Record<string, unknown>>,
  functions: readonly string[],
  report: (message: string) => void,
): Map<string, ValidateFunction> {
  const validators = new Map<string, ValidateFunction>();
  for (const [command, schema] of Object.entries(schemas)) {
    if (!functions.includes(command)) {
      report(
        `the module's \`args\` describes ${quoted(command)}, which it does not export${did_you_mean(nearest(command, functions))}`,
      );
      continue;
    }
    try {
      validators.set(command, compile_one(schema));
    } catch (error) {
      report(`the module's \`args\` for ${quoted(command)} is not a JSON Schema (draft-07): ${reason_of(error)}`);
    }
  }
  return validators;
}

function compile_one(schema: unknown): ValidateFunction {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw new Error(`it is ${shown(schema)}`);
  if ('$async' in schema) throw new Error('it is asynchronous');
  // An ajv for each schema: two may carry the same $id. Unknown keywords are typing mistakes; `format` would need
  // another library.
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    strictTypes: false,
    strictTuples: false,
    validateFormats: false,
    logger: false,
  });
  return ajv.compile(schema);
}
