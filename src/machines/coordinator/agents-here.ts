/** Which agents are there, how they are, and what they can hold. */
import type { Clock } from '../../foundation/clock.ts';
import type { Counts } from '../../metrics/snapshot.ts';
import type { AgentSummary, WaitingClients } from '../../metrics/summary.ts';
import { bound_you_gave, type Room } from '../../swarm/plan/carry-out.ts';
import { labels_of } from '../../swarm/plan/intent.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { STALLED_AFTER_MS } from '../../swarm/squad/members.ts';
import { reassign_ms_of, type Desired, type Presence } from '../store/documents.ts';
import type { HeardAgent } from './heard-agents.ts';
import type { View } from './view.ts';

/** Of one run. Looked at anew for each call. */
export class AgentsHere {
  readonly #view: View;
  readonly #timers: Clock;
  readonly #run: string;

  constructor(view: View, timers: Clock, run: string) {
    this.#view = view;
    this.#timers = timers;
    this.#run = run;
  }

  health(id: MemberId): AgentSummary['health'] {
    const heard = this.#view.members.get(id);
    const plan = this.#view.plan?.doc;
    const is_refused = this.#view.refusals.of(id) !== null;
    if (!heard || !plan) return is_refused ? 'refused' : 'lost';
    const { doc, heard_at } = heard;
    const is_departed = plan.departed.some((one) => one.agent === id && one.incarnation === doc.incarnation);
    const silent_ms = this.#timers.now() - heard_at;
    if (is_departed || silent_ms >= reassign_ms_of(plan.run)) return 'lost';
    if (is_refused) return 'refused';
    if (silent_ms >= STALLED_AFTER_MS) return 'suspect';
    if (doc.refuses !== null) return 'refused';
    const has_seat = plan.members[id]?.incarnation === doc.incarnation && doc.ready === plan.run.id;
    if (!has_seat && doc.fenced > 0) return 'fenced';
    if (doc.ready !== plan.run.id) return 'loading';
    return doc.leaving || this.#view.desired?.doc.drained.includes(id) ? 'draining' : 'ok';
  }

  /** Agents that play, or will as soon as they are told to. */
  here(): [MemberId, HeardAgent][] {
    return [...this.#view.members].filter(([id, { doc }]) => doc.ready === this.#run && this.health(id) !== 'lost');
  }

  /** Those of them that may be given clients. */
  #able(): [MemberId, HeardAgent][] {
    return this.here().filter(([id]) => this.health(id) !== 'draining');
  }

  /** What they can hold, and at most `max_connections`. */
  room(max_connections: number | null, here = this.#able()): Room {
    return {
      capacity: here.reduce((all, [, { doc }]) => all + doc.capacity, 0),
      why: `what ${here.length} agents can hold`,
      per_member: Math.max(0, ...here.map(([, { doc }]) => doc.capacity)),
      members: here.length,
      bounds: max_connections === null ? [] : [bound_you_gave(max_connections)],
      more_by: null,
    };
  }

  /** that a process of any of them may have open, the least; 0: nobody said so */
  get open_files(): number {
    const told = this.here().flatMap(([, { doc }]) => doc.open_files ?? []);
    return told.length === 0 ? 0 : Math.min(...told);
  }

  /** How many clients agents that are here and have the label can hold; null: none has it. */
  room_on(label: string, here = this.#able()): number | null {
    const with_it = here.filter(([, { doc }]) => doc.labels.includes(label));
    if (with_it.length === 0 && !this.here().some(([, { doc }]) => doc.labels.includes(label))) return null;
    return with_it.reduce((all, [, { doc }]) => all + doc.capacity, 0);
  }

  /** Clients of the target that nobody can hold now. */
  waiting(desired: Desired, target: number): WaitingClients[] {
    const able = this.#able();
    const of_labels = [...labels_of(desired)].map(([label, clients]) => ({
      clients: Math.max(0, clients - (this.room_on(label, able) ?? 0)),
      label,
    }));
    const placed = target - of_labels.reduce((all, { clients }) => all + clients, 0);
    const rest = Math.max(0, placed - this.room(null, able).capacity);
    return [...of_labels, { clients: rest, label: null }].filter(({ clients }) => clients > 0);
  }

  /** its acknowledgement is worth waiting for */
  answers(id: MemberId): boolean {
    const health = this.health(id);
    return health === 'ok' || health === 'draining';
  }
}

/** The server may be out of reach of this machine only. */
export function unconnected({ live, open, states }: Presence, errors: Counts): string {
  const [most] = Object.entries(errors).sort(([, a], [, b]) => b - a);
  if (open > 0 || states.backoff === 0 || most === undefined) return '';
  return `none of its ${live} clients is connected: ${most[0]}, ${most[1]} times`;
}
