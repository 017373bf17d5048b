/** The console's answer to `events`. Pure; the texts of events are escaped already. */
import type { RunEvent } from '../metrics/events.ts';
import { aligned } from './tables.ts';

/** `HH:MM:SS  kind  text  (by)`, in UTC; before them, how many older ones are no longer there. */
export function event_lines(events: readonly RunEvent[], dropped: number): string[] {
  if (events.length === 0) return ['nothing has happened yet'];
  const rows = events.map(({ at, kind, text, by }) => [
    new Date(at).toISOString().slice(11, 19),
    kind,
    `${text}  (${by})`,
  ]);
  return [...(dropped > 0 ? [`${dropped} older ones were dropped`] : []), ...aligned(rows, [0, 1, 2])];
}
