import { Histogram } from '../dist/metrics/histogram.js';
import { merge_groups, merge_snapshots, NO_DEAD } from '../dist/metrics/merge-snapshots.js';
import { Series } from '../dist/metrics/series.js';
import { ManyActions } from './lib/many-actions.mjs';
import { figure, table } from './lib/stats.mjs';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const MIB = 2 ** 20;
/** of a core */
const MOST_CPU = 0.05;
const MOST_MIB = 64;
/** s of the series between two merges that its beats are compared with */
const MERGE_EACH_S = 100;
const SHAPE = { actions: 1000, moving: 50, rounds: 20 };

export const bench = {
  about: `the series of ${SHAPE.actions} actions, of which ${SHAPE.moving} play ${SHAPE.rounds} rounds each second: an hour and a day, one beat a second. The reference is one merge of two such members`,
  only_by_name: true,
  seconds: DAY_S,
  report,
};

/** @param {{ seconds: number, say: (text: string) => void }} options  seconds: of the run, not of the bench */
async function report({ seconds, say }) {
  const rows = [];
  for (const length_s of seconds > HOUR_S ? [HOUR_S, seconds] : [seconds]) {
    const { beat_us, slowest_us, merge_us, most_bytes, series, faults } = played(length_s);
    if (faults.length > 0) throw new Error(`the series does not add up: ${faults.join('; ')}`);
    const cpu = beat_us / 1e6;
    const held_mib = most_bytes / MIB;
    const verdict = cpu <= MOST_CPU && held_mib <= MOST_MIB ? 'met' : 'missed';
    rows.push([
      `${figure(length_s / HOUR_S)} h`,
      figure(merge_us),
      `${figure(beat_us)} (${figure(slowest_us)})`,
      figure(beat_us / merge_us),
      figure(held_mib),
      `${[...series.rows()].length}, ${series.fine_s} s one by one`,
      verdict,
    ]);
  }
  const goal = `goal ≤ ${MOST_CPU * 100} % of a core, ≤ ${MOST_MIB} MiB`;
  say(table(['run', 'merge, µs', 'beat (slowest), µs', 'ratio', 'held, MiB', 'rows', goal], rows));
}

function played(length_s) {
  const series = new Series();
  const source = new ManyActions({ Histogram, NO_DEAD, merge_groups }, SHAPE);
  const actions = source.names;
  const spent = { beats_ms: 0, slowest_ms: 0, merges_ms: 0, merges: 0 };
  let most_bytes = 0;
  let totals;
  for (let second = 1; second <= length_s; second++) {
    totals = source.next();
    const begun = performance.now();
    series.beat({ run_ms: second * 1000, totals, actions, members: [], not_told: [] });
    const ended = performance.now();
    spent.beats_ms += ended - begun;
    spent.slowest_ms = Math.max(spent.slowest_ms, ended - begun);
    most_bytes = Math.max(most_bytes, series.bytes);
    if (second % MERGE_EACH_S !== 0) continue;
    const before = performance.now();
    merge_snapshots([totals.snapshot, totals.snapshot]);
    spent.merges_ms += performance.now() - before;
    spent.merges++;
  }
  return {
    beat_us: (1000 * spent.beats_ms) / length_s,
    slowest_us: 1000 * spent.slowest_ms,
    merge_us: (1000 * spent.merges_ms) / spent.merges,
    most_bytes,
    series,
    faults: series.adds_up(totals),
  };
}
