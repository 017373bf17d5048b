/** The executable: runs one command and exits with its code. A command's code is loaded only when it is asked for. */
import { SwarmError } from './foundation/errors.ts';
import { exit, guard_exit } from './foundation/exit.ts';
import type { Io } from './foundation/io.ts';
import { Output } from './foundation/output.ts';
import { run_program } from './options/program.ts';

// A terminal or pipe that goes away (a closed window, `| head`) is no reason to end; Node ignores SIGPIPE by itself.
process.on('SIGHUP', () => undefined);
// A log that reached the size `ulimit -f` allows is a failed write, as on a full disk.
process.on('SIGXFSZ', () => undefined);
guard_exit();

const footer = { text: '' };
const out = new Output(process.stdout, footer);
const err = new Output(process.stderr, footer);
// https://no-color.org and its opposite, FORCE_COLOR, for each stream
const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
const colours = (output: Output): boolean =>
  !NO_COLOR && (FORCE_COLOR === undefined ? output.is_tty && TERM !== 'dumb' : FORCE_COLOR !== '0');
const io: Io = { out, err, colour: { out: colours(out), err: colours(err) } };

let code = await run_program(
  process.argv.slice(2),
  {
    run: async (options) => (await import('./commands/run.ts')).run_run(options, io),
    check: async (options) => (await import('./commands/check.ts')).run_check(options, io),
    try: async (options) => (await import('./commands/try.ts')).run_try(options, io),
    limits: async (options) => (await import('./commands/limits.ts')).run_limits(options, io),
    merge: async (files, options) => (await import('./commands/merge.ts')).run_merge(files, options, io),
    schema: async () => (await import('./commands/print-schema.ts')).print_schema(io),
    agent: async (options) => (await import('./commands/agent.ts')).run_agent(options, io),
    attach: async (options) => (await import('./commands/attach.ts')).run_attach(options, io),
    summary: async (run, options) => (await import('./commands/print-summary.ts')).print_summary(run, options, io),
    series: async (run, options) => (await import('./commands/print-series.ts')).print_series(run, options, io),
    demo: async () => (await import('./commands/demo.ts')).run_demo(io),
    engine_up: async (options) => (await import('./commands/engine.ts')).run_engine(options, io),
  },
  io,
);
if (out.fault !== null) {
  const fault = new SwarmError('output_lost', { reason: out.fault });
  err.line(`swarm: ${fault.message}`);
  code ||= fault.exit;
}
await Promise.all([out.flush(1000), err.flush(1000)]);
// not process.exitCode: a module's own timers must not keep a finished run alive
exit(code);
