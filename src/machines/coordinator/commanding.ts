/**
 * What a command does to a swarm of many machines. It goes into `desired` first, by compare-and-set, so that a leader's
 * death loses no command; then the agents' acknowledgements are waited for.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../foundation/clock.ts';
import { reason_of } from '../../foundation/errors.ts';
import { MAX_TRACE_S, type Command, type Followers, type Refusal, type Reply } from '../../grammar/command.ts';
import { line_of } from '../../grammar/sentences.ts';
import type { AgentFacts, Carried, Facts } from '../../swarm/plan/carry-out.ts';
import { ACK_WITHIN_MS, HOOK_WITHIN_MS, STOP_WITHIN_MS } from '../../swarm/plan/deadlines.ts';
import { followers_of } from '../../swarm/plan/followers.ts';
import type { NamedSharing } from '../../swarm/plan/intent.ts';
import { place_within } from '../../swarm/plan/id-map.ts';
import { groups_in_run } from '../../swarm/plan/rated-actions.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { WHOLE } from '../../swarm/plan/segment.ts';
import type { Waits } from '../../swarm/squad/waits.ts';
import {
  full_name,
  to_text,
  type Desired,
  type MemberShare,
  type SwarmPlan,
  type TraceOrder,
} from '../store/documents.ts';
import type { Store } from '../store/store.ts';
import {
  has_applied,
  next_desired,
  set_trace,
  TRACE_LINES_WITHIN_MS,
  type Asking,
  type NextDesired,
} from './desired.ts';
import { WRITE_AGAIN_MS, type Leading } from './leading.ts';
import type { PlayedRun } from './picture.ts';
import type { Showing } from './showing.ts';
import { DESIRED, type View } from './view.ts';

/** from then on the answer is that nobody knows */
const WRITE_WITHIN_MS = 10_000;

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

type DesiredChange = (desired: Desired, asking: Asking) => NextDesired;

/** It is in `desired`, since its number `seq`. */
interface WrittenCommand {
  readonly reply: Carried;
  readonly asking: Asking;
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
  async apply(command: Command, by: string): Promise<Reply> {
    const change: DesiredChange = (desired, asking) => next_desired(desired, command, by, asking, this.#facts(asking));
    return await this.#apply(change, line_of(command));
  }

  /** See {@link Control.trace}. */
  async trace(
    id: number,
    for_seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const owner = (): string | undefined =>
      Object.entries(this.#view.plan?.doc.members ?? {}).find(([, entry]) => this.#has(entry, id))?.[0];
    if (owner() === undefined && !this.#options.only_looks)
      return { ok: false, code: 'no_such_client', client: id, down: null };
    const token = randomBytes(8).toString('hex');
    const until_ms = (this.#view.run_ms ?? 0) + Math.min(for_seconds, MAX_TRACE_S) * 1000;
    const change = (trace: TraceOrder | null): Promise<Reply> =>
      this.#apply(
        (desired, asking) => set_trace(desired, { token, client: id, trace }, owner() ?? null, asking),
        'trace',
      );
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
    return { ...reply, stop };
  }

  /** What agents told of the traces that were asked for here; a while after its time each ends. */
  show_traces(): void {
    if (this.#traces.size === 0) return;
    for (const { agent, incarnation, results } of this.#view.results(this.#played?.run.id ?? '')) {
      for (const { token, lines, before, is_over } of results.traces) {
        const trace = this.#traces.get(token);
        // the tokens of all are known to all agents
        const entry = this.#view.plan?.doc.members[agent];
        if (!trace || !entry || !this.#has(entry, trace.client)) continue;
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

  /** of the run */
  get #groups(): readonly NamedSharing[] {
    return this.#played === null ? [] : groups_in_run(this.#played.bundle.run.what);
  }

  /** The client, by its id, is one of this agent's. */
  #has({ groups }: MemberShare, id: number): boolean {
    return place_within(id, this.#played!.bundle.run.what.groups, groups) !== null;
  }

  async #apply(change: DesiredChange, what: string): Promise<Reply> {
    if (this.#options.only_looks) return { ok: false, code: 'read_only', what };
    const before = this.#last_command;
    const outcome = (async (): Promise<WrittenCommand | Refusal> => {
      await before;
      return await this.#write(change);
    })().catch((error: unknown): Refusal => ({ ok: false, code: 'internal', reason: reason_of(error) }));
    this.#last_command = outcome;
    const written = await outcome;
    if ('ok' in written) return written;
    const followers = await this.#followers(written.seq);
    this.#showing.notify();
    const desired = this.#view.desired?.doc;
    if (desired && !has_applied(desired, written.asking))
      return { ok: false, code: 'unknown', lost: true, away_ms: null };
    return { ...written.reply, followers };
  }

  async #write(change: DesiredChange): Promise<WrittenCommand | Refusal> {
    const { store, timers, id: session } = this.#options;
    if (this.#leading.is_over) return { ok: false, code: 'stopping', has_ended: true };
    const asking: Asking = { session, seq: ++this.#seq, run_ms: this.#view.run_ms ?? 0, wall_ms: timers.wall() };
    const deadline = timers.now() + WRITE_WITHIN_MS;
    let tried = null as { reply: Carried; text: string; seq: number; revision: number } | null;
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
        if (!reply.ok) return reply;
        tried = { reply, text: to_text(next), seq: next!.seq, revision: desired.revision };
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
    return tried ? { ok: false, code: 'unknown', lost: false, away_ms } : { ok: false, code: 'engine_away', away_ms };
  }

  /** Waits until all agents applied what became of `desired` number `seq`, 2 s at most. */
  async #followers(seq: number): Promise<Followers> {
    const { timers } = this.#options;
    const { members } = this.#view;
    const { picture } = this.#played!;
    const planned = (): SwarmPlan | null => {
      const plan = this.#view.plan?.doc;
      return plan && plan.desired >= seq ? plan : null;
    };
    const start = timers.now();
    let revision: number | null = null;
    const is_late = (id: MemberId): boolean => picture.who.answers(id) && members.get(id)!.doc.applied < revision!;
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
    if (!plan) return { ...followers_of('agent', 0, []), unplanned_by: this.#leading.host };
    const all = Object.keys(plan.members);
    const missing = all
      .filter((id) => is_late(id) || !picture.who.answers(id))
      .map((id) => ({ id, absent: null, silent_ms: Math.round(timers.now() - (members.get(id)?.heard_at ?? start)) }));
    return followers_of('agent', all.length, missing);
  }

  #facts({ run_ms, wall_ms }: Asking): Facts {
    const { bundle, picture } = this.#played!;
    const { max_connect_per_s, max_connections } = this.#options;
    return {
      run_ms,
      wall_ms,
      room: picture.who.room(max_connections),
      segment: WHOLE,
      groups: this.#groups,
      max_connect_per_s,
      fatal: picture.who.here().reduce((all, [, { doc }]) => all + doc.states.fatal, 0),
      stop_ms: bundle.run.how.drain_timeout_ms + STOP_WITHIN_MS,
      teardown_ms: bundle.has_teardown && this.#view.plan?.doc.shared ? HOOK_WITHIN_MS : null,
      agents: this.#agents(),
    };
  }

  #agents(): AgentFacts {
    const { members, plan } = this.#view;
    const { picture } = this.#played!;
    return {
      are_gathering: plan?.doc.stage === 'gather',
      here: picture.who.here().map(([id]) => id),
      // the one that holds the share, if another one has come that cannot say whether that is dead
      incarnation: (agent) => {
        const known = plan?.doc.members[agent]?.incarnation ?? members.get(agent)?.doc.incarnation;
        return known === undefined ? null : full_name(agent, known);
      },
      room_on: (label) => picture.who.room_on(label),
    };
  }
}
