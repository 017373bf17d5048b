/** The workers as processes: started, watched, restarted, ended. The hub of forked mode. */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import { PrintLimit } from '../foundation/print-limit.ts';
import { Refused } from '../foundation/shape.ts';
import { within } from '../foundation/within.ts';
import { AccountReader } from '../swarm/plan/account-shape.ts';
import type { Account, Note } from '../swarm/plan/account.ts';
import { Breaker } from '../swarm/plan/breaker.ts';
import type { Orders } from '../swarm/plan/orders.ts';
import { give_way, Precedence } from '../swarm/plan/precedence.ts';
import type { MemberId } from '../swarm/plan/run-spec.ts';
import type { Death, Hub } from '../swarm/plan/seam.ts';
import { orders_outbox, say_goodbye, send_permit, send_refresh } from './fork.ts';
import { LastWords } from './last-words.ts';

const HELLO_WITHIN_MS = 30_000;
/** from the goodbye to the exit: closing sockets send what they have, see Population */
const END_WITHIN_MS = 5000;
/** from SIGKILL to the exit of a process that is not stuck in the kernel */
const KILL_WITHIN_MS = 1000;
/** from the exit until its last words are read; processes that the module started may hold the pipe for longer */
const LAST_WORDS_WITHIN_MS = 500;
/** how often a note says that lines were left out */
const TELL_DROPPED_MS = 1000;
/** a worker silent for so long is sent only orders, of which just the newest waits */
const HEARD_MS = 10_000;
const SETPRIV = '/usr/bin/setpriv';

const CROWD = 8;
/**
 * Puts Node's own code on large pages: with few workers a tenth less time in user space, for 10 MB more each. In a
 * crowd the copies would compete for a cache that one shared copy has to itself (ADR 13). `silent`: without such pages
 * Node runs as usual.
 */
const LARGE_PAGES = '--use-largepages=silent';

export interface ProcessesOptions {
  readonly members: readonly MemberId[];
  /** script of a worker; its arguments are the member's id and the incarnation */
  readonly entry: string;
  /** for the log: deaths, restarts, workers given up, what a worker printed past its log, such as a crash of Node */
  readonly on_note: (member: MemberId, note: Note) => void;
}

interface Listeners {
  account: (member: MemberId, account: Account) => void;
  gone: Parameters<Hub['onGone']>[0];
}

/** Runs a process per wanted member, restarted whenever it dies, until the member is not wanted any more or `close`. */
export function start_processes(options: ProcessesOptions): Hub {
  const listeners: Listeners = { account: () => {}, gone: () => {} };
  const turns = new Turns(2 * availableParallelism());
  const precedence = new Precedence();
  const workers = options.members.map((member) => new WorkerProcess(member, options, listeners, turns));
  return {
    want: (members) => {
      const in_crowd = members.length > CROWD;
      void precedence.set(members.length > availableParallelism());
      for (const worker of workers) worker.want(members.includes(worker.member), in_crowd);
    },
    publish: (orders) => workers.forEach((worker) => worker.publish(orders)),
    permit: (until) => workers.forEach((worker) => worker.permit(until)),
    refresh: () => workers.forEach((worker) => worker.refresh()),
    onAccount: (f) => (listeners.account = f),
    onGone: (f) => (listeners.gone = f),
    kill: (member, why) => workers.find((worker) => worker.member === member)?.kill(why),
    close: async (deadline_ms) => {
      const late = await Promise.all(workers.map((worker) => worker.close(deadline_ms)));
      await precedence.set(false);
      return workers.filter((_, i) => late[i]).map((worker) => worker.member);
    },
  };
}

/**
 * Lets a few workers start at a time: fifty at once on two cores would all be late with their hello. Each starts in a
 * turn of its own, as a fork blocks the event loop for some time.
 */
class Turns {
  #free: number;
  #is_due = false;
  readonly #waiting: (() => void)[] = [];

  constructor(at_once: number) {
    this.#free = at_once;
  }

  take(start: () => void): void {
    this.#waiting.push(start);
    this.#next();
  }

  give_back(): void {
    this.#free++;
    this.#next();
  }

  #next(): void {
    if (this.#is_due || this.#free === 0 || this.#waiting.length === 0) return;
    this.#is_due = true;
    this.#free--;
    this.#waiting.shift()!();
    setImmediate(() => {
      this.#is_due = false;
      this.#next();
    });
  }
}

class WorkerProcess {
  readonly member: MemberId;
  readonly #options: ProcessesOptions;
  readonly #listeners: Listeners;
  readonly #turns: Turns;
  readonly #breaker = new Breaker();
  #child: ChildProcess | null = null;
  #outbox: { put(orders: Orders): void } | null = null;
  #restart: NodeJS.Timeout | undefined;
  #is_wanted = false;
  #in_crowd = false;
  #is_closing = false;
  #heard_at = 0;
  /** why this process killed it, such as `did not answer for 30 s`; null: it did not */
  #killed_as: string | null = null;
  #exited: Promise<void> = Promise.resolve();
  /** it exited and its last words were read */
  #silent: Promise<void> = Promise.resolve();

  constructor(member: MemberId, options: ProcessesOptions, listeners: Listeners, turns: Turns) {
    this.member = member;
    this.#turns = turns;
    this.#options = options;
    this.#listeners = listeners;
  }

  publish(orders: Orders): void {
    this.#outbox?.put(orders);
  }

  permit(until_machine_ms: number): void {
    if (this.#reader) send_permit(this.#reader, until_machine_ms);
  }

  refresh(): void {
    if (this.#reader) send_refresh(this.#reader);
  }

  /** its process if it was heard lately: nothing must queue before a process that does not read */
  get #reader(): ChildProcess | null {
    return performance.now() - this.#heard_at < HEARD_MS ? this.#child : null;
  }

  /** Starts its process if it is wanted; else tells the process to end, and kills it if it does not. */
  want(is_wanted: boolean, in_crowd: boolean): void {
    if (in_crowd !== this.#in_crowd && this.#child?.pid !== undefined) give_way(this.#child.pid, in_crowd);
    this.#in_crowd = in_crowd;
    if (is_wanted === this.#is_wanted || this.#is_closing) return;
    this.#is_wanted = is_wanted;
    clearTimeout(this.#restart);
    // if its process is ending, the next one starts after its exit
    if (is_wanted && !this.#child) this.#start_in_turn();
    else if (!is_wanted && this.#child) this.#dismiss(this.#child);
  }

  #start_in_turn(): void {
    this.#turns.take(() => {
      if (this.#is_closing || !this.#is_wanted || this.#child) this.#turns.give_back();
      else this.#start();
    });
  }

  #dismiss(child: ChildProcess): void {
    say_goodbye(child);
    const late = setTimeout(() => this.kill(`did not end within ${END_WITHIN_MS / 1000} s`), END_WITHIN_MS);
    child.once('exit', () => clearTimeout(late));
  }

  /** Kills its process, once: a process stuck in the kernel ends when it leaves the kernel. */
  kill(why: string): void {
    const child = this.#child;
    const has_exited = child !== null && (child.exitCode !== null || child.signalCode !== null);
    if (!child || has_exited || this.#killed_as !== null) return;
    this.#killed_as = why;
    this.#note('error', `worker ${this.member} (pid ${child.pid}) ${why}: killed`);
    child.kill('SIGKILL');
  }

  #start(): void {
    const incarnation = randomBytes(8).toString('hex');
    const child = fork_bound(this.#options.entry, [this.member, incarnation], this.#in_crowd);
    this.#child = child;
    this.#killed_as = null;
    this.#outbox = orders_outbox(child, this.member);
    const last_words = new LastWords();
    const reader = new AccountReader();
    this.#pass_on(child.stdout, 'info');
    this.#pass_on(child.stderr, 'error', last_words);
    let is_starting = true;
    let is_refused = false;
    const started = (): void => {
      if (is_starting) this.#turns.give_back();
      is_starting = false;
      clearTimeout(hello);
    };
    const hello = setTimeout(() => this.kill(`said nothing within ${HELLO_WITHIN_MS / 1000} s`), HELLO_WITHIN_MS);
    child.on('message', (message) => {
      if (this.#child !== child || !is_ours(message, incarnation)) return;
      const account = reader.read(message);
      if (account instanceof Refused) {
        // its process runs the user's code, which can send anything
        if (!is_refused) this.#note('error', `worker ${this.member}: a report is refused: ${account.why}`);
        return void (is_refused = true);
      }
      if (is_starting) {
        this.#breaker.succeeded();
        give_way(child.pid!, this.#in_crowd); // not before its hello: in a busy crowd that would be late
      }
      started();
      this.#heard_at = performance.now();
      this.#listeners.account(this.member, account);
    });
    // Without its channel a worker can be neither steered nor measured. One that is exiting closes it a little earlier:
    // its exit code says why.
    let cut: NodeJS.Timeout | undefined;
    child.on('disconnect', () => {
      if (!this.#is_closing && this.#is_wanted) cut = setTimeout(() => child.kill('SIGKILL'), KILL_WITHIN_MS);
    });
    this.#silent = new Promise((resolve) => child.once('close', () => resolve()));
    this.#exited = new Promise((resolve) => {
      const gone = (how: string): void => {
        if (this.#child !== child) return;
        started();
        clearTimeout(cut);
        this.#child = this.#outbox = null;
        resolve();
        const words = last_words.told(performance.now());
        this.#on_death(incarnation, child.pid, words === null ? how : `${how}: ${words}`);
      };
      child.on('exit', (code, signal) => {
        const how = signal ? `died of ${signal}` : `exited with code ${code}`;
        void within(this.#silent, LAST_WORDS_WITHIN_MS, () => undefined).then(() => gone(how));
      });
      // without a pid it never started; an error after the start is a failed kill or send, and an exit follows
      child.on('error', (error) => child.pid === undefined && gone(`did not start: ${error.message}`));
    });
  }

  #on_death(incarnation: string, pid: number | undefined, how: string): void {
    if (this.#is_closing || !this.#is_wanted) return this.#listeners.gone(this.member, incarnation, true, 'gone', null);
    const what = `worker ${this.member} (pid ${pid ?? 'none'})`;
    const killed_as = this.#killed_as;
    const death: Death =
      killed_as === null
        ? { code: 'worker_died', text: `${what} ${how}` }
        : { code: 'worker_stalled', text: `${what} ${killed_as}: killed` };
    const { delay_ms, is_open } = this.#breaker.died(performance.now());
    const next = is_open ? `given up, one try each ${delay_ms / 1000} s` : `starting again in ${delay_ms / 1000} s`;
    this.#note('error', `${what} ${how}; ${next}`);
    this.#restart = setTimeout(() => this.#start_in_turn(), delay_ms);
    this.#listeners.gone(this.member, incarnation, true, is_open ? 'given_up' : 'restarting', death);
  }

  /** Tells the worker to end, and kills it after `deadline_ms`; true if it came to that. */
  async close(deadline_ms: number): Promise<boolean> {
    this.#is_closing = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return false;
    say_goodbye(child);
    const has_ended = this.#exited.then(() => true);
    const is_late = !(await within(has_ended, deadline_ms, () => false));
    if (is_late) child.kill('SIGKILL');
    await within(this.#silent, KILL_WITHIN_MS, () => undefined);
    return is_late;
  }

  /**
   * Makes a note of each chunk, which mostly keeps a stack trace in one piece. What is too much is read too: a full
   * pipe would block the worker.
   */
  #pass_on(output: Readable | null, level: Note['level'], last_words?: LastWords): void {
    const limit = new PrintLimit();
    let [told, told_at] = [0, 0];
    const tell_dropped = (): void => {
      told_at = performance.now();
      if (limit.dropped > told)
        this.#note('warn', `${limit.dropped - told} more lines were not logged: too many came at once`);
      told = limit.dropped;
    };
    output?.setEncoding('utf8').on('data', (text: string) => {
      last_words?.hear(text, performance.now());
      const lines = limit.take(text.trimEnd());
      if (lines.length > 0) this.#note(level, lines.join('\n'));
      if (performance.now() - told_at >= TELL_DROPPED_MS) tell_dropped();
    });
    output?.on('end', tell_dropped);
  }

  #note(level: Note['level'], text: string): void {
    this.#options.on_note(this.member, { level, text });
  }
}

/** Libraries in a worker may send messages to its parent; only accounts carry its incarnation. */
const is_ours = (message: unknown, incarnation: string): boolean =>
  typeof message === 'object' && message !== null && 'incarnation' in message && message.incarnation === incarnation;

/**
 * Forks `entry`. With util-linux' setpriv it dies with this process, even if busy: setpriv asks the kernel for SIGKILL
 * at the parent's death and becomes node. Elsewhere a worker ends when it sees its channel cut. Both outputs are pipes
 * of its own: sharing our stderr would make ours blocking too, see Output.
 */
function fork_bound(entry: string, args: string[], in_crowd: boolean): ChildProcess {
  const bound = existsSync(SETPRIV);
  const inherited = process.execArgv.filter((option) => option !== LARGE_PAGES);
  const options = in_crowd ? inherited : [...inherited, LARGE_PAGES];
  return fork(entry, args, {
    serialization: 'advanced',
    // the terminal's Ctrl-C reaches the whole process group: a worker that is still loading would die of it
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    ...(bound && { execPath: SETPRIV }),
    execArgv: bound ? ['--pdeathsig', 'KILL', process.execPath, ...options] : options,
  });
}
