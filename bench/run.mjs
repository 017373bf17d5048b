/**
 * `npm run bench [-- [name…] [--runs n] [--seconds s] [--connections n] [--json file]]`: runs the benches by name; without one all but those
 * that take long (`only_by_name`). A bench is a file `bench/<name>.bench.mjs`, see {@link Bench}; its reference and swarm take turns on the
 * same server, `--runs` times each (default 5), each measured for `--seconds` (default: the bench's own). Prints a Markdown table with
 * medians and extremes of each, and at the end one with all peers side by side. A bench whose peer is not installed is skipped by name.
 *
 * `--json` writes the figures, as bench/baseline.json has them. `--check file` compares with such a file: `npm run bench:check`.
 *
 * Exit code 1 when a bench could not be run, when one asked for by name was skipped, and when a check found a ratio worse than it was; a
 * missed goal is said in the table.
 *
 * @typedef {object} Bench
 * @property {string} about
 * @property {number} seconds  that each side is measured for in a run
 * @property {boolean} [only_by_name]  it takes minutes: not without being asked
 * @property {Record<string, string>} [needs]  commands that have to be installed → the Debian package of each
 * @property {{ server: string, work: string }} [versus]  what its row says in the table of all peers; needs a measure `cpu_us`
 * @property {() => Promise<import('./lib/servers.mjs').Server>} server
 * @property {import('./lib/stats.mjs').Measure[]} measures
 * @property {{ name: string, run: Side }} reference
 * @property {string} [subject_name]  default swarm
 * @property {Side} subject
 * @property {(options: { seconds: number, connections?: number, say: (text: string) => void }) => Promise<void>} [report]  a bench that
 *   compares with nothing has this instead of all that begins with `needs`, and prints its own table
 *
 * @typedef {(options: { server: import('./lib/servers.mjs').Server, seconds: number }) => Promise<Record<string, number>>} Side
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ports_to_spare, scoped } from './lib/processes.mjs';
import { TOLERANCE, compare, side_by_side, to_json } from './lib/results.mjs';
import { figures_of, rows_of, table } from './lib/stats.mjs';

process.env.PATH = `${process.env.PATH}:/usr/sbin`; // where Debian keeps nginx, out of an ordinary user's way

const say = (text) => process.stdout.write(`${text}\n`);
const complain = (text) => {
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = 1;
};
const installed = (command) => process.env.PATH.split(':').some((folder) => existsSync(join(folder, command)));

function options_of(argv) {
  const text = { type: 'string' };
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { runs: { ...text, default: '5' }, seconds: text, connections: text, json: text, check: text },
  });
  const number_of = (option) => {
    if (values[option] === undefined) return undefined;
    const value = Number(values[option]);
    if (!(value > 0)) throw new Error(`--${option} ${values[option]}: give a number above 0`);
    return value;
  };
  return {
    ...values,
    runs: Math.ceil(number_of('runs')),
    seconds: number_of('seconds'),
    connections: number_of('connections'),
    asked: positionals,
  };
}

/** All benches there are, by name. @returns {Promise<Record<string, Bench>>} */
async function all_benches() {
  const names = readdirSync(import.meta.dirname).flatMap((file) => /^(.+)\.bench\.mjs$/.exec(file)?.[1] ?? []);
  const load = async (name) => [name, (await import(`./${name}.bench.mjs`)).bench];
  return Object.fromEntries(await Promise.all(names.map(load)));
}

/** @param {string} name @param {Bench} bench @returns {Promise<import('./lib/results.mjs').Result>} */
async function measured(name, bench, runs, seconds) {
  const done = await scoped(async (keep) => {
    const server = await keep(bench.server());
    const results = [];
    for (let i = 1; i <= runs; i++) {
      const reference = await bench.reference.run({ server, seconds });
      const subject = await bench.subject({ server, seconds });
      results.push({ reference, subject });
      process.stderr.write(`${name}: run ${i} of ${runs}\n`);
    }
    return results;
  });
  const figures = figures_of(bench.measures, done);
  const head = ['', bench.reference.name, bench.subject_name ?? 'swarm', 'ratio', 'goal', ''];
  say(table(head, rows_of(bench.measures, figures)));
  return { peer: bench.reference.name, ...bench.versus, figures };
}

/** One after the other; one that fails does not keep the next from being run. @returns {Promise<import('./lib/results.mjs').Results>} */
async function run_all(benches, { runs, asked, connections, ...options }) {
  const machine = {
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    memory_bytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
  };
  const results = {
    format: 'swarm-bench/1',
    date: new Date().toISOString(),
    machine,
    runs,
    benches: {},
    skipped: {},
    failed: {},
  };
  say(
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}; median (least–most) of ${runs} interleaved runs`,
  );
  for (const [name, bench] of benches) {
    const seconds = options.seconds ?? bench.seconds;
    say(`\n## ${name}: ${bench.about}\n`);
    const lacking = Object.keys(bench.needs ?? {}).filter((command) => !installed(command));
    if (lacking.length > 0) {
      const packages = lacking.map((command) => bench.needs[command]).join(' ');
      results.skipped[name] = `${lacking.join(', ')} (apt-get install ${packages})`;
      say(`skipped: ${results.skipped[name]}`);
      if (asked.includes(name)) process.exitCode = 1;
      continue;
    }
    try {
      await ports_to_spare();
      if (bench.report) await bench.report({ seconds, connections, say });
      else results.benches[name] = await measured(name, bench, runs, seconds);
    } catch (error) {
      results.failed[name] = error.message;
      complain(`${name}: ${error.message}`);
    }
  }
  return results;
}

/** Says what got worse since `before`. */
function check(before, now) {
  const { compared, worse, unknown } = compare(before, now);
  say(`\n## check: against the table of ${before.date}\n`);
  for (const text of unknown) say(`not compared: ${text}`);
  for (const text of worse) complain(text);
  if (compared === 0) complain('there was nothing to compare');
  else say(`${compared - worse.length} of ${compared} ratios are at most ${TOLERANCE * 100} % worse than they were`);
}

try {
  const options = options_of(process.argv.slice(2));
  const { asked } = options;
  const before = options.check === undefined ? undefined : JSON.parse(readFileSync(options.check, 'utf8'));
  const known = await all_benches();
  const strangers = asked.filter((name) => !(name in known));
  if (strangers.length > 0)
    throw new Error(`no bench ${strangers.join(', ')}; there are ${Object.keys(known).join(', ')}`);
  const chosen = Object.entries(known).filter(([name, bench]) =>
    asked.length > 0 ? asked.includes(name) : !bench.only_by_name,
  );
  const results = await run_all(chosen, options);
  const summary = side_by_side(results.benches, results.skipped);
  if (asked.length !== 1 && summary !== '') say(`\n## side by side: medians, same server, same work\n\n${summary}`);
  if (options.json !== undefined) writeFileSync(options.json, to_json(results));
  if (before !== undefined) check(before, results);
} catch (error) {
  complain(error.message);
}
