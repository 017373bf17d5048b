/** How many clients are where somebody waits for them. */
import type { Snapshot } from './snapshot.ts';
import type { Summary } from './summary.ts';

export interface Reached {
  /** connected */
  readonly open: number;
  /** connected, and `connected` of the module has returned */
  readonly ready: number;
  /** they have played all their iterations, and left */
  readonly done: number;
}

export function reached_in(snapshots: readonly Snapshot[]): Reached {
  let [open, ready, done] = [0, 0, 0];
  for (const { groups } of snapshots)
    for (const { connections, actions, clients } of Object.values(groups)) {
      open += connections.open;
      // the last one is `connected`, whether the module has it or not
      ready += connections.open - (actions.at(-1)?.running ?? 0);
      done += clients.finished;
    }
  return { open, ready, done };
}

export const reached_of = ({ connections, clients }: Summary): Reached => ({
  open: connections.open,
  ready: connections.ready,
  done: clients.finished,
});

/** How many a wait for `what` counts. Who is done has left: nobody waits for that connection. */
export const counted_for = (there: Reached, what: keyof Reached): number =>
  there[what] + (what === 'done' ? 0 : there.done);
