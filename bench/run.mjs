/**
 * `npm run bench [-- [name…] [--runs n] [--seconds s]]`: runs the benches by name, all of them without one. A bench is a file
 * `bench/<name>.bench.mjs`; its reference and swarm take turns on the same server, `--runs` times each (default 5), each measured for
 * `--seconds` (default: the bench's own). Prints a Markdown table with medians and extremes. Exit code 1 when a bench could not be run;
 * a missed goal is said in the table.
 */
import { readdirSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { scoped } from './lib/processes.mjs';
import { rows_of, table } from './lib/stats.mjs';

const names = readdirSync(import.meta.dirname).flatMap((file) => /^(.+)\.bench\.mjs$/.exec(file)?.[1] ?? []);
const say = (text) => process.stdout.write(`${text}\n`);
const number_of = (option, text) => {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} ${text}: give a number above 0`);
  return value;
};

async function run(name, runs, asked_seconds) {
  const { bench } = await import(`./${name}.bench.mjs`);
  const seconds = asked_seconds ?? bench.seconds;
  say(`\n## ${name}: ${bench.about}\n`);
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
  say(table(['', bench.reference.name, 'swarm', 'ratio', 'goal', ''], rows_of(bench.measures, done)));
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { runs: { type: 'string', default: '5' }, seconds: { type: 'string' } },
  });
  const runs = Math.ceil(number_of('runs', values.runs));
  const seconds = values.seconds === undefined ? undefined : number_of('seconds', values.seconds);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no bench ${unknown.join(', ')}; there are ${names.join(', ')}`);
  say(
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}; median (least–most) of ${runs} interleaved runs`,
  );
  for (const name of positionals.length > 0 ? positionals : names) await run(name, runs, seconds);
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
