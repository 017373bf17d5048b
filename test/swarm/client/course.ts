/** What a client must have played, worked out from the script and the draws of its loop alone: an oracle for players. */
import type { Draws } from '../../../src/foundation/draws.ts';
import { draw_int } from '../../../src/script/range.ts';
import type { Action, Loop, ThinkTime } from '../../../src/script/types.ts';

/** What one loop did during one connection. */
export interface Life {
  /** the actions that it called, by index */
  readonly calls: number[];
  /** the last of them had its reply: whether its round ended before the connection did, nobody can tell */
  answered: boolean;
  /** the last of them closed the connection */
  closed: boolean;
}

/** Numbers drawn, and iterations completed. */
interface Place {
  readonly drawn: number;
  readonly done: number;
}

/** How many iterations a loop may have completed in these lives; none: they are not what it should have played. */
export function completed(loop: Loop, draws: Draws, id: number, lives: readonly Life[]): number[] {
  let places: Place[] = [{ drawn: 0, done: 0 }];
  for (const life of lives) places = places.flatMap((place) => ends_of(loop, (n) => draws(id, n), place, life));
  return places.map(({ done }) => done);
}

/** Where a life that begins at `from` may have ended. */
function ends_of(loop: Loop, unit: (n: number) => number, from: Place, life: Life): Place[] {
  let { drawn, done } = from;
  const sleep = (think: ThinkTime): void => {
    if ('mean' in think || think[0] !== think[1]) drawn++;
  };
  const ends: Place[] = [];
  if (life.calls.length === 0) ends.push(from);
  let called = 0;
  const draw = ({ rounds }: Action): number => (rounds[0] === rounds[1] ? rounds[0] : draw_int(rounds, unit(drawn++)));
  while (done !== loop.iterations) {
    for (const [position, action] of loop.actions.entries()) {
      let left = draw(action);
      for (; left > 0; left--) {
        if (called === life.calls.length) return [...ends, { drawn, done }];
        if (life.calls[called++] !== action.index) return [];
        if (called === life.calls.length && life.closed) {
          // well ended: the iteration is over if no round of it is left
          const is_last = left === 1 && loop.actions.slice(position + 1).every((next) => draw(next) === 0);
          return [{ drawn, done: is_last ? done + 1 : done }];
        }
        if (called === life.calls.length) ends.push({ drawn, done });
        if (called === life.calls.length && !life.answered) return ends;
        sleep(action.sleep_between_rounds);
      }
      sleep(action.sleep_after_action);
    }
    if (++done !== loop.iterations) sleep(loop.sleep_between_iterations);
  }
  return called === life.calls.length ? [...ends, { drawn, done }] : [];
}
