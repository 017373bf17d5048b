/**
 * What a command does to a swarm of many machines. It goes into `desired` first, by compare-and-set, so that a leader's
 * death loses no command; then the agents' acknowledgements are waited for.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../foundation/clock.ts';
import { reason_of } from '../../foundation/errors.ts';
import type { Command, Reply } from '../../grammar/command.ts';
import { err, ok } from '../../swarm/plan/answers.ts';
import { index_within } from '../../swarm/plan/id-map.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { MAX_TRACE_S } from '../../swarm/plan/traces.ts';
import { HOOK_WITHIN_MS } from '../../swarm/squad/squad.ts';
import type { Waits } from '../../swarm/squad/waits.ts';
import { to_text, type Desired, type SwarmPlan, type TraceOrder } from '../store/documents.ts';
import type { Store } from '../store/store.ts';
import { carry_out, has_applied, set_trace, TRACE_LINES_WITHIN_MS, type Asking, type Facts } from './desired.ts';
import { STOP_WITHIN_MS } from './leader.ts';
import { WRITE_AGAIN_MS, type Leading } from './leading.ts';
import type { PlayedRun } from './picture.ts';
import type { Showing } from './showing.ts';
import { DESIRED, type View } from './view.ts';

const ACK_WITHIN_MS = 2000;
/** from then on the answer is that nobody knows */
const WRITE_WITHIN_MS = 10_000;
/** agents that are named in an answer because they have not acknowledged */
const MAX_NAMED = 5;

/** What {@link Commanding} needs of its process. */
export interface CommandingOptions {
  readonly store: Store;
  readonly timers: Clock;
  /** of this process, never used before */
  readonly id: string;
  /** it changes nothing: its credentials would not let it */
  readonly only_looks: boolean;
  readonly max_connections: number | null;
  readonly max_connect_per_s: number | null;
}

type DesiredChange = (desired: Desired, asking: Asking) => { readonly desired: Desired | null; readonly reply: Reply };

interface CommandOutcome {
  readonly reply: Reply;
  /** null: it changed nothing */
  readonly asking: Asking | null;
  /** of `desired` with it */
  readonly seq: number;
}

interface AskedTrace {
  readonly client: number;
  readonly on_line: (line: string | null) => void;
  /** ms of run time */
  readonly until_ms: number;
  /** lines shown of each incarnation */
  readonly seen: Map<string, number>;
  readonly end: () => void;
}

/** Carries out one command after the other. */
export class Commanding {
  readonly #options: CommandingOptions;
  readonly #view: View;
  readonly #waits: Waits;
  readonly #leading: Leading;
  readonly #showing: Showing;
  readonly #on_written: () => void;
  /** those asked for here, by token */
  readonly #traces = new Map<string, AskedTrace>();
  #played: PlayedRun | null = null;
  /** counts the commands of this process */
  #seq = 0;
  #last_command: Promise<unknown> = Promise.resolve();
  #is_closed = false;

  /** `on_written` is called once a command is in `desired`. */
  constructor(
    options: CommandingOptions,
    view: View,
    waits: Waits,
    leading: Leading,
    showing: Showing,
    on_written: () => void,
  ) {
    this.#options = options;
    this.#view = view;
    this.#waits = waits;
    this.#leading = leading;
    this.#showing = showing;
    this.#on_written = on_written;
  }

  /** From now on commands are for this run. */
  play(played: PlayedRun): void {
    this.#played = played;
  }

  /** Resolves when the agents acknowledged, after 2 s at most. Never rejects. */
  async apply(command: Command): Promise<Reply> {
    return await this.#apply((desired, asking) => carry_out(desired, command, asking, this.#facts()), command.op);
  }

  /** See {@link Control.trace}. */
  async trace(
    id: number,
    for_seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const owner = (): string | undefined =>
      Object.entries(this.#view.plan?.doc.members ?? {}).find(([, { ids }]) => index_within(id, ids) !== null)?.[0];
    if (owner() === undefined && !this.#options.only_looks) return err('no_such_client', `no client has the id ${id}`);
    const token = randomBytes(8).toString('hex');
    const until_ms = (this.#view.run_ms ?? 0) + Math.min(for_seconds, MAX_TRACE_S) * 1000;
    const change = (trace: TraceOrder | null): Promise<Reply> =>
      this.#apply((desired, asking) => set_trace(desired, token, trace, asking), 'trace');
    const end = (): void => {
      if (this.#traces.delete(token)) on_line(null);
    };
    this.#traces.set(token, { client: id, on_line, until_ms, seen: new Map(), end });
    const reply = await change({ token, client: id, until_ms });
    if (!reply.ok) {
      this.#traces.delete(token);
      return reply;
    }
    const stop = (): void => {
      end();
      void change(null);
    };
    return { ...ok(`trace of client ${id} in ${owner() ?? 'no agent'}${reply.text}`), stop };
  }

  /** What agents told of the traces that were asked for here; a while after its time each ends. */
  show_traces(): void {
    if (this.#traces.size === 0) return;
    for (const { agent, incarnation, results } of this.#view.results(this.#played?.run.id ?? '')) {
      for (const { token, lines, before, is_over } of results.traces) {
        const trace = this.#traces.get(token);
        // the tokens of all are known to all agents
        const { ids = [] } = this.#view.plan?.doc.members[agent] ?? {};
        if (!trace || index_within(trace.client, ids) === null) continue;
        const seen = trace.seen.get(`${agent}.${incarnation}`) ?? 0;
        if (before > seen) trace.on_line(`${before - seen} lines were not kept`);
        for (const line of lines.slice(Math.max(0, seen - before))) trace.on_line(line);
        trace.seen.set(`${agent}.${incarnation}`, before + lines.length);
        if (is_over) trace.end();
      }
    }
    const over_ms = (this.#view.run_ms ?? Infinity) - TRACE_LINES_WITHIN_MS;
    for (const { until_ms, end } of [...this.#traces.values()]) if (this.#leading.is_over || until_ms <= over_ms) end();
  }

  /** A command that is not written yet is given up. */
  close(): void {
    this.#is_closed = true;
  }

  async #apply(change: DesiredChange, op: Command['op'] | 'trace'): Promise<Reply> {
    if (this.#options.only_looks)
      return err('read_only', `the credentials of this console are for looking only: ${op} needs those of a leader`);
    const before = this.#last_command;
    const outcome = (async (): Promise<CommandOutcome> => {
      await before;
      return await this.#carry_out(change, op);
    })().catch((error: unknown) => ({ reply: err('internal', reason_of(error)), asking: null, seq: 0 }));
    this.#last_command = outcome;
    const { reply, asking, seq } = await outcome;
    if (!reply.ok || asking === null) return reply;
    const late = await this.#acknowledged(seq);
    this.#showing.notify();
    const desired = this.#view.desired?.doc;
    if (desired && !has_applied(desired, asking))
      return err('unknown', 'the engine lost it with its memory: look at the target, and ask again');
    return ok(`${reply.text}${late}`);
  }

  async #carry_out(change: DesiredChange, op: Command['op'] | 'trace'): Promise<CommandOutcome> {
    const { store, timers, id: session } = this.#options;
    const stage = this.#view.plan?.doc.stage;
    if (this.#leading.is_over) return unchanged(err('stopping', 'the swarm has ended'));
    if (stage === 'gather' && op !== 'stop')
      return unchanged(err('not_ready', 'the swarm is not ready: it waits for its agents'));
    const asking: Asking = { session, seq: ++this.#seq, run_ms: this.#view.run_ms ?? 0, wall_ms: timers.wall() };
    const deadline = timers.now() + WRITE_WITHIN_MS;
    let tried = null as { reply: Reply; text: string; seq: number; revision: number } | null;
    while (timers.now() < deadline && !this.#is_closed) {
      // another console was first, nobody knows, or the engine lost its memory and counts revisions anew: what is
      // stored now says; or somebody wrote there what cannot be read, and the leader has yet to write it anew
      if (!(await this.#view.read(DESIRED).catch(() => null)) || this.#view.spoiled.desired > 0) {
        await this.#waits.until(() => false, WRITE_AGAIN_MS);
        continue;
      }
      const desired = this.#view.desired;
      if (!desired) break;
      if (tried && has_applied(desired.doc, asking)) return { reply: tried.reply, asking, seq: desired.doc.seq };
      // the same again while nothing is known to have come between: the first one may be on its way yet
      if (tried?.revision !== desired.revision) {
        const { desired: next, reply } = change(desired.doc, asking);
        if (!next) return unchanged(reply);
        tried = { reply, text: to_text(next), seq: next.seq, revision: desired.revision };
      }
      const written = await store.put(DESIRED, tried.text, tried.revision);
      if (written.outcome === 'done') {
        this.#view.wrote(DESIRED, tried.text, written.revision);
        this.#on_written();
        return { reply: tried.reply, asking, seq: tried.seq };
      }
      if (written.outcome === 'unknown') await this.#waits.until(() => false, WRITE_AGAIN_MS);
    }
    const { away_ms } = this.#showing;
    const away = `the engine does not answer${away_ms === null ? '' : ` for ${Math.round(away_ms / 1000)} s`}`;
    return unchanged(
      tried
        ? err(
            'unknown',
            `${away}: the command may have been applied or not, look at the target when the engine is back`,
          )
        : err('engine_away', `${away}: nothing was changed, try again when it is back`),
    );
  }

  /** Waits until all agents applied what became of `desired` number `seq`, 2 s at most; says who did not. */
  async #acknowledged(seq: number): Promise<string> {
    const { timers } = this.#options;
    const { members } = this.#view;
    const { picture } = this.#played!;
    const planned = (): SwarmPlan | null => {
      const plan = this.#view.plan?.doc;
      return plan && plan.desired >= seq ? plan : null;
    };
    const start = timers.now();
    let revision: number | null = null;
    const is_late = (id: MemberId): boolean => picture.answers(id) && members.get(id)!.doc.applied < revision!;
    /** asked at each word of each agent: who was in time once is not looked at again */
    let open: MemberId[] = [];
    const is_done = (): boolean => {
      const plan = planned();
      if (!plan) return false;
      if (revision === null) open = Object.keys(plan.members);
      revision ??= plan.revision;
      while (open.length > 0 && !is_late(open.at(-1)!)) open.pop();
      return open.length === 0;
    };
    await this.#waits.until(is_done, ACK_WITHIN_MS);
    const plan = planned();
    const { host } = this.#leading;
    if (!plan) return `, not planned yet: ${host === null ? 'nobody leads' : `the leader (${host}) is silent`}`;
    const all = Object.keys(plan.members);
    if (all.length === 0) return ', but no agent is here';
    const missing = all.filter((id) => is_late(id) || !picture.answers(id));
    if (missing.length === 0) return '';
    const named = missing.slice(0, MAX_NAMED).map((id) => {
      const silent_s = Math.round((timers.now() - (members.get(id)?.heard_at ?? start)) / 1000);
      return silent_s < 2 ? `${id} is still working on it` : `${id} silent ${silent_s} s`;
    });
    if (missing.length > MAX_NAMED) named.push(`and ${missing.length - MAX_NAMED} more`);
    return `, ${all.length - missing.length} of ${all.length} agents acknowledged (${named.join(', ')})`;
  }

  #facts(): Facts {
    const { run, bundle, picture } = this.#played!;
    const { members } = this.#view;
    const { max_connections, max_connect_per_s } = this.#options;
    const here = [...members].filter(([id, { doc }]) => doc.ready === run.id && picture.health(id) !== 'lost');
    return {
      capacity: here.reduce((all, [, { doc }]) => all + doc.capacity, 0),
      agents: here.map(([id]) => id),
      // the one that holds the share, if another one has come that cannot say whether that is dead
      incarnation: (agent) =>
        this.#view.plan?.doc.members[agent]?.incarnation ?? members.get(agent)?.doc.incarnation ?? null,
      has_label: (label) => here.some(([, { doc }]) => doc.labels.includes(label)),
      fatal: here.reduce((all, [, { doc }]) => all + doc.states.fatal, 0),
      stop_ms: bundle.run.how.drain_timeout_ms + STOP_WITHIN_MS,
      teardown_ms: bundle.has_teardown && this.#view.plan?.doc.shared ? HOOK_WITHIN_MS : null,
      max_connections,
      max_connect_per_s,
    };
  }
}

const unchanged = (reply: Reply): CommandOutcome => ({ reply, asking: null, seq: 0 });
