/** The command line without its commands. */
import { Writable } from 'node:stream';
import { Output } from '../../src/foundation/output.ts';
import { run_program, type Commands } from '../../src/options/program.ts';

const sink = (): { output: Output; text: () => string } => {
  const chunks: string[] = [];
  const stream = new Writable({ write: (chunk, _, done) => (chunks.push(String(chunk)), done()) });
  return { output: new Output(stream), text: () => chunks.join('') };
};

/** What a command line says, its exit code, and what of the commands was called, with which options. */
export async function run(
  args: readonly string[],
  commands: Partial<Commands> = {},
): Promise<{ code: number; out: string; err: string; called: unknown[] }> {
  const [out, err] = [sink(), sink()];
  const called: unknown[] = [];
  const call = (name: Exclude<keyof Commands, 'summary' | 'series' | 'merge'>) => (options: never, io: never) => {
    called.push(name, options);
    return commands[name] ? commands[name](options, io) : Promise.resolve(0);
  };
  const code = await run_program(
    args,
    {
      run: call('run'),
      check: call('check'),
      try: call('try'),
      limits: call('limits'),
      merge: (files, options, io) => {
        called.push('merge', files, options);
        return commands.merge?.(files, options, io) ?? Promise.resolve(0);
      },
      schema: call('schema') as never,
      demo: call('demo') as never,
      agent: call('agent'),
      attach: call('attach'),
      summary: (name) => Promise.resolve(called.push('summary', name) && 0),
      series: (name) => Promise.resolve(called.push('series', name) && 0),
      engine_up: call('engine_up'),
    },
    { out: out.output, err: err.output, colour: { out: false, err: false } },
  );
  return { code, out: out.text(), err: err.text(), called };
}
