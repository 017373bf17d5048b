/** Pure: the results of many benches as one document, one table, and against those of before. */
import { figure, table } from './stats.mjs';

/** A ratio may be so much worse than it was: the noise of a machine that others use too. */
export const TOLERANCE = 0.15;

/**
 * @typedef {{ peer?: string, server?: string, work?: string, figures: Record<string, import('./stats.mjs').Figure> }} Result  peer: the
 *   reference; server and work: of those that stand side by side
 * @typedef {object} Results  what `--json` writes and bench/baseline.json holds
 * @property {'swarm-bench/1'} format
 * @property {string} date  RFC 3339
 * @property {{ cpu: string, cores: number, memory_bytes: number, kernel: string, node: string }} machine
 * @property {number} runs  of each bench
 * @property {Record<string, Result>} benches
 * @property {Record<string, string>} skipped  the benches that lack something, and what
 * @property {Record<string, string>} failed
 */

/**
 * One row per bench that compares swarm with a peer: medians. Messages per second and core are those per CPU second.
 * @param {Record<string, Result>} benches
 * @param {Record<string, string>} skipped
 */
export function side_by_side(benches, skipped) {
  const head = ['peer', 'server', 'work', 'CPU per message, µs: peer', 'swarm', 'ratio'];
  head.push('messages per second and core: peer', 'swarm', 'RSS per connection, KB: peer', 'swarm');
  const rows = Object.values(benches).flatMap(({ peer, server, work, figures: { cpu_us, rss_kb } }) =>
    work === undefined
      ? []
      : [
          [
            peer,
            server,
            work,
            ...of_both(cpu_us, (value) => value),
            shown(cpu_us.ratio?.median),
            ...of_both(cpu_us, (value) => 1e6 / value),
            ...of_both(rss_kb, (value) => value),
          ],
        ],
  );
  const left_out = Object.entries(skipped).map(([name, why]) => `${name} skipped: ${why}`);
  return [...(rows.length > 0 ? [table(head, rows)] : []), ...left_out].join('\n');
}

const of_both = (found, value_of) =>
  [found?.reference, found?.subject].map((spread) => shown(spread && value_of(spread.median)));

const shown = (value) => (value === undefined ? '' : figure(value));

/**
 * Compares the ratios of the benches that were run now with those of before.
 * @param {Results} before
 * @param {Results} now
 * @returns {{ compared: number, worse: string[], unknown: string[] }}  worse: the figures above the tolerance, each a sentence; unknown:
 *   what there is only on one side, and why
 */
export function compare(before, now) {
  const worse = [];
  const unknown = Object.entries({ ...now.skipped, ...now.failed }).map(([name, why]) => `${name}: ${why}`);
  let compared = 0;
  for (const [name, { figures }] of Object.entries(now.benches)) {
    for (const [key, { title, better, ratio }] of Object.entries(figures)) {
      if (better === undefined || ratio === undefined) continue;
      const was = before.benches[name]?.figures[key]?.ratio?.median;
      if (was === undefined) {
        unknown.push(`${name}: the table of ${before.date} has no ratio of ${title}`);
        continue;
      }
      compared++;
      const is = ratio.median;
      const change = better === 'lower' ? is / was - 1 : was / is - 1;
      if (change > TOLERANCE)
        worse.push(
          `${name}: ratio of ${title} was ${figure(was)}, is ${figure(is)}: ${Math.round(change * 100)} % worse, at most ${TOLERANCE * 100} %`,
        );
    }
  }
  return { compared, worse, unknown };
}

/** Numbers of four significant digits: a committed table that changes only where something did. */
export function to_json(results) {
  const rounded = (key, value) =>
    typeof value === 'number' && !Number.isInteger(value) ? +value.toPrecision(4) : value;
  return `${JSON.stringify(results, rounded, 2)}\n`;
}
