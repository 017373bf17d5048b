/** Pure: medians, ratios and the tables of the benches. */

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three significant digits; from 1000 on whole numbers, thousands apart by a space. @param {number} value */
export function figure(value) {
  if (Math.abs(value) >= 1000) return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
  return value === 0 ? '0' : value.toPrecision(3);
}

/**
 * @typedef {{ of: 'value' | 'ratio', at_most?: number, at_least?: number }} Goal
 * @typedef {object} Measure
 * @property {string} key  of the figure
 * @property {string} title
 * @property {'lower' | 'higher'} [better]  the ratio to the reference is what `npm run bench:check` guards, and this way it may go
 * @property {Goal} [goal]
 *
 * @typedef {{ median: number, least: number, most: number }} Spread
 * @typedef {{ title: string, better?: 'lower' | 'higher', reference?: Spread, subject: Spread, ratio?: Spread }} Figure
 */

/**
 * What the runs say about each measure, by its key. The ratio is the median of the runs' own ratios: the two sides of a run saw the same
 * machine. What the reference does not measure has no ratio.
 * @param {readonly Measure[]} measures
 * @param {readonly { reference: Record<string, number>, subject: Record<string, number> }[]} runs  at least one
 * @returns {Record<string, Figure>}
 */
export function figures_of(measures, runs) {
  const of_measure = ({ key, title, better }) => {
    const subject = runs.map((run) => run.subject[key]);
    const reference = runs.map((run) => run.reference[key]).filter((value) => value !== undefined);
    const compared = reference.length > 0 && {
      reference: spread(reference),
      ratio: spread(reference.map((value, i) => subject[i] / value)),
    };
    return [key, { title, ...(better && { better }), subject: spread(subject), ...compared }];
  };
  return Object.fromEntries(measures.map(of_measure));
}

function spread(values) {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * One row per measure: title, reference, subject, ratio, goal, verdict; extremes in parentheses.
 * @param {readonly Measure[]} measures
 * @param {Record<string, Figure>} figures
 * @returns {string[][]}
 */
export function rows_of(measures, figures) {
  return measures.map(({ key, goal }) => {
    const { title, reference, subject, ratio } = figures[key];
    return [title, ...[reference, subject, ratio].map(shown), ...judge(goal, goal?.of === 'ratio' ? ratio : subject)];
  });
}

function shown(spread) {
  return spread ? `${figure(spread.median)} (${figure(spread.least)}–${figure(spread.most)})` : '';
}

function judge(goal, spread) {
  if (!goal || !spread) return ['', ''];
  const { of, at_most = Infinity, at_least = -Infinity } = goal;
  const met = spread.median <= at_most && spread.median >= at_least;
  return [`${of} ${goal.at_most === undefined ? `≥ ${at_least}` : `≤ ${at_most}`}`, met ? 'met' : 'missed'];
}

/** A Markdown table with aligned columns. @param {readonly string[]} head @param {readonly string[][]} rows */
export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
