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

export const reached_of = ({ connections, actions, clients }: Summary): Reached => ({
  open: connections.open,
  ready: actions.reduce((ready, { index, running }) => (index < 0 ? ready - running : ready), connections.open),
  done: clients.finished,
});
