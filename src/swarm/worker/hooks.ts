/** The module's `setup` and `teardown`, each called once, by one worker of the whole swarm. */
import { reason_of } from '../../foundation/errors.ts';
import { escape_text } from '../../foundation/escape.ts';
import { deep_freeze } from '../../foundation/freeze.ts';
import { any_json, checked, Refused } from '../../foundation/shape.ts';
import type { ModuleLog, ProtocolModule } from '../../protocols/module.ts';
import type { HookResult, Note } from '../plan/account.ts';
import type { LiveSpec, RunSpec } from '../plan/run-spec.ts';

/** bytes of what `setup` returns, as it travels in all orders */
const MAX_SHARED = 128 * 1024;

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

  run_setup({ setup }: ProtocolModule, { what: { seed }, where: { servers } }: RunSpec): void {
    if (this.#setup !== null) return;
    this.#setup = 'running';
    const called = async (): Promise<unknown> =>
      json_able(await setup?.({ server: servers[0]!, servers, seed, log: this.#log('setup') }));
    void outcome(called).then((result) => {
      this.#setup = result;
      this.#done();
    });
  }

  run_teardown({ teardown }: ProtocolModule, { shared }: LiveSpec): void {
    if (this.#teardown !== null) return;
    this.#teardown = 'running';
    const called = async (): Promise<unknown> => {
      await teardown?.({ shared: shared?.value, log: this.#log('teardown') });
      return null;
    };
    void outcome(called).then((result) => {
      this.#teardown = result;
      this.#done();
    });
  }

  #log(hook: string): ModuleLog {
    const note = (level: Note['level']) => (text: string) =>
      this.#note({ level, text: `${hook}: ${String(text)}`.slice(0, 1000) });
    return { info: note('info'), warn: note('warn'), error: note('error') };
  }
}

async function outcome(called: () => Promise<unknown>): Promise<HookResult> {
  try {
    return { ok: true, value: await called() };
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? '').split('\n')[1]?.trim() : undefined;
    return { ok: false, reason: escape_text(`${reason_of(error)}${stack === undefined ? '' : ` (${stack})`}`, 500) };
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
