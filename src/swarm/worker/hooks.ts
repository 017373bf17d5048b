/** The modules' `setup` and `teardown`, each called once, one after the other, by one worker of the whole swarm. */
import { reason_of } from '../../foundation/errors.ts';
import { escape_text } from '../../foundation/escape.ts';
import { deep_freeze } from '../../foundation/freeze.ts';
import { any_json, checked, Refused } from '../../foundation/shape.ts';
import type { ModuleLog, ProtocolModule } from '../../protocols/module.ts';
import type { HookResult, Note } from '../plan/account.ts';
import type { LiveSpec, RunSpec } from '../plan/run-spec.ts';

/** bytes of what `setup` returns, as it travels in all orders */
const MAX_SHARED = 128 * 1024;

/** by name, in the order of the run */
type Modules = ReadonlyMap<string, ProtocolModule>;

export class Hooks {
  readonly #note: (note: Note) => void;
  readonly #done: () => void;
  #setup: HookResult | 'running' | null = null;
  #teardown: HookResult | 'running' | null = null;

  /** `done` is called whenever a hook has ended. */
  constructor(note: (note: Note) => void, done: () => void) {
    this.#note = note;
    this.#done = done;
  }

  /** null: not called, or not yet ended */
  get setup(): HookResult | null {
    return this.#setup === 'running' ? null : this.#setup;
  }

  get teardown(): HookResult | null {
    return this.#teardown === 'running' ? null : this.#teardown;
  }

  run_setup(modules: Modules, run: RunSpec): void {
    if (this.#setup !== null) return;
    this.#setup = 'running';
    void this.#setup_all(modules, run).then((result) => {
      this.#setup = result;
      this.#done();
    });
  }

  run_teardown(modules: Modules, { shared }: LiveSpec): void {
    if (this.#teardown !== null) return;
    this.#teardown = 'running';
    void this.#teardown_all(modules, shared?.value).then((result) => {
      this.#teardown = result;
      this.#done();
    });
  }

  async #setup_all(modules: Modules, { what: { seed }, where: { servers } }: RunSpec): Promise<HookResult> {
    const values: [string, unknown][] = [];
    const log = this.#log('setup');
    for (const [protocol, { setup }] of modules) {
      const one = await outcome(which(modules, protocol), () => setup?.({ server: servers[0]!, servers, seed, log }));
      if (!one.ok) return one;
      values.push([protocol, one.value]);
    }
    return await outcome('', () => json_able(modules.size > 1 ? Object.fromEntries(values) : values[0]![1]));
  }

  /** One that fails keeps none of the others from cleaning up. */
  async #teardown_all(modules: Modules, shared: unknown): Promise<HookResult> {
    let result: HookResult = { ok: true, value: null };
    const log = this.#log('teardown');
    for (const [protocol, { teardown }] of modules) {
      const own = shared_with(modules, protocol, shared);
      const one = await outcome(which(modules, protocol), () => teardown?.({ shared: own, log }));
      if (!one.ok && result.ok) result = one;
    }
    return result;
  }

  #log(hook: string): ModuleLog {
    const note = (level: Note['level']) => (text: string) =>
      this.#note({ level, text: `${hook}: ${String(text)}`.slice(0, 1000) });
    return { info: note('info'), warn: note('warn'), error: note('error') };
  }
}

/** What `setup` of this module returned, of what all returned. */
export const shared_with = (modules: Modules, protocol: string, shared: unknown): unknown =>
  modules.size > 1 ? (shared as Record<string, unknown> | undefined)?.[protocol] : shared;

/** What an error begins with: of several modules, whose it is. */
const which = (modules: Modules, protocol: string): string => (modules.size > 1 ? `${protocol}: ` : '');

async function outcome(whose: string, called: () => unknown): Promise<HookResult> {
  try {
    return { ok: true, value: await called() };
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '').split('\n')[1]?.trim() : undefined;
    const reason = `${whose}${reason_of(error)}${stack === undefined ? '' : ` (${stack})`}`;
    return { ok: false, reason: escape_text(reason, 500) };
  }
}

/** What `setup` returned as other members get it. In local mode too, so that no module works only there. */
function json_able(value: unknown): unknown {
  const text = value === undefined ? undefined : JSON.stringify(value);
  if (text === undefined) return undefined;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_SHARED)
    throw new RangeError(
      `what it returned has ${bytes} bytes as JSON: at most ${MAX_SHARED} can be sent to all others, return less or the name of a file`,
    );
  const sent = checked(any_json, JSON.parse(text));
  if (sent instanceof Refused) throw new TypeError(`what it returned cannot be sent to others: ${sent.why}`);
  return deep_freeze(sent);
}
