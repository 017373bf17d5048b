/** Pure: medians, ratios and the table of a bench. */

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
 * @typedef {Record<string, number>} Figures
 * @typedef {{ key: string, title: string, goal?: { of: 'value' | 'ratio', at_most?: number, at_least?: number } }} Measure
 *
 * One row per measure: title, reference, swarm, ratio, goal, verdict. The ratio is the median of the runs' own ratios (the two sides
 * of a run saw the same machine); extremes in parentheses. What the reference does not measure has no ratio.
 * @param {readonly Measure[]} measures
 * @param {readonly { reference: Figures, subject: Figures }[]} runs
 * @returns {string[][]}
 */
export function rows_of(measures, runs) {
  return measures.map(({ key, title, goal }) => {
    const subject = runs.map((run) => run.subject[key]);
    const reference = runs.map((run) => run.reference[key]).filter((value) => value !== undefined);
    const ratios = reference.map((value, i) => subject[i] / value);
    return [
      title,
      spread(reference),
      spread(subject),
      spread(ratios),
      ...judge(goal, goal?.of === 'ratio' ? ratios : subject),
    ];
  });
}

function spread(values) {
  return values.length === 0
    ? ''
    : `${figure(median(values))} (${figure(Math.min(...values))}–${figure(Math.max(...values))})`;
}

function judge(goal, values) {
  if (!goal) return ['', ''];
  const { of, at_most = Infinity, at_least = -Infinity } = goal;
  const met = median(values) <= at_most && median(values) >= at_least;
  return [`${of} ${goal.at_most === undefined ? `≥ ${at_least}` : `≤ ${at_most}`}`, met ? 'met' : 'missed'];
}

/** A Markdown table with aligned columns. @param {readonly string[]} head @param {readonly string[][]} rows */
export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
