/** `swarm demo`: an example server as a child process, and the daemon in this one, steered over TCP as by a user. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createColors } from 'picocolors';
import { ConsoleClient } from '../console/console-client.ts';
import { reason_of } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { on_signals } from '../foundation/signals.ts';
import { run_daemon } from '../launch/one-machine.ts';
import type { OptionName } from '../options/options.ts';
import { parse_options, type Given } from '../options/parse-options.ts';
import type { Server } from '../protocols/module.ts';

const TARGET = fileURLToPath(new URL('../../examples/targets/durian.mjs', import.meta.url));
const SCRIPT = fileURLToPath(new URL('../../examples/scripts/chat.yml', import.meta.url));
const DEADLINE_MS = 120_000;
const TARGET_START_MS = 30_000;
const TARGET_END_MS = 2_000;
/** how long the status refreshes; how often on a terminal, and where nothing can be redrawn */
const WATCH_MS = 15_000;
const REDRAW_MS = 1_000;
const REPEAT_MS = 3_000;

export async function run_demo(io: Io): Promise<number> {
  const paint = createColors(io.colour.out);
  const say = (text: string): void => io.out.line(paint.cyan(text));
  say('swarm demo: an example chat server, a swarm of 200 clients, and a console session that steers it.\n');
  const target = await start_target();
  say(`The server: node examples/targets/durian.mjs   (${target.address})`);
  say(`The swarm:  swarm --server ${target.address} --script examples/scripts/chat.yml`);

  const deadline = AbortSignal.timeout(DEADLINE_MS);
  let steered: Promise<void> = Promise.resolve();
  let failure: unknown = null;
  let interrupted = false;
  // the daemon acts on the signal, which closes the session
  const undo = on_signals(
    () => (interrupted = true),
    () => undefined,
  );
  try {
    const code = await run_daemon(demo_options(target.address), io, (address, stop) => {
      steered = steer(address, io, deadline).catch((error: unknown) => {
        failure = error;
        stop();
      });
    });
    await steered;
    if (interrupted) return code;
    if (failure === null) say(EPILOGUE);
    else io.err.line(`swarm demo: ended early: ${reason_of(failure)}`);
    return failure === null ? code : 1;
  } finally {
    undo();
    await target.end();
  }
}

const EPILOGUE = `
That was the demo. To run it yourself, in three terminals:

  node examples/targets/durian.mjs --listen 127.0.0.1:8412
  npm start -- --server 127.0.0.1:8412 --script examples/scripts/chat.yml
  telnet 127.0.0.1 8411        then: incr 200, status, help`;

/** As on a command line, without the environment. No state lines: they would draw over the session. */
function demo_options(server: string): Parameters<typeof run_daemon>[0] {
  const given: Partial<Record<OptionName, string>> = {
    listen: '127.0.0.1:0',
    server,
    script: SCRIPT,
    reconnect_delay: '1-3',
    report_every: '24h',
    log_level: 'warn',
  };
  const flags = Object.entries(given).map(([name, text]): [string, Given] => [name, { texts: [text], from: 'flag' }]);
  const result = parse_options(Object.fromEntries(flags), 'run', ['server', 'script']);
  if ('faults' in result) throw result.faults[0];
  return result.options;
}

async function steer(address: Server, io: Io, deadline: AbortSignal): Promise<void> {
  const paint = createColors(io.colour.out);
  const session = await ConsoleClient.open(address);
  deadline.addEventListener('abort', () => session.close());
  const type = async (line: string, within_ms?: number): Promise<void> => {
    io.out.line(`\n${paint.bold(`swarm> ${line}`)}`);
    for (const answer of await session.ask(line, within_ms)) io.out.line(answer);
    await sleep(500);
  };
  io.out.line('');
  await type('incr 200');
  await type('wait within 30s', 35_000);
  await watch_status(session, io);
  await type('actions');
  await type('decr 50');
  await type('wait within 10s', 15_000);
  await type('stop');
}

/** Redraws the status in place on a terminal; else prints its lines of clients and requests every few seconds. */
async function watch_status(session: ConsoleClient, io: Io): Promise<void> {
  const paint = createColors(io.colour.out);
  const live = io.out.is_tty;
  io.out.line(`\n${paint.bold('swarm> status')}${paint.dim(`   (again and again for ${WATCH_MS / 1000} s)`)}`);
  const every = live ? REDRAW_MS : REPEAT_MS;
  let drawn = 0;
  for (let left = WATCH_MS; left >= 0; left -= every) {
    const answer = await session.ask('status');
    const shown = live ? answer : answer.slice(1).filter((_, i) => i === 1 || i === 5);
    if (drawn > 0) io.out.write(`\x1b[${drawn}A`);
    for (const line of shown) io.out.line(live ? `\x1b[2K${line.slice(0, io.out.columns - 1)}` : line);
    if (live) drawn = shown.length;
    await sleep(every);
  }
}

/** Starts the example server on a free port. It ends with this process whatever happens, because its stdin does. */
async function start_target(): Promise<{ address: string; end(): Promise<void> }> {
  const child = spawn(process.execPath, [TARGET, '--listen', '127.0.0.1:0', '--end-with-stdin'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // Ctrl-C in the terminal is for the swarm: it stops while the server still answers
  });
  const gone = once(child, 'exit');
  child.stdin.on('error', () => undefined);
  const end = async (): Promise<void> => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), TARGET_END_MS);
    await gone;
    clearTimeout(timer);
  };
  const lines = createInterface({ input: child.stdout });
  try {
    const [line] = (await Promise.race([
      once(lines, 'line', { signal: AbortSignal.timeout(TARGET_START_MS) }),
      gone.then(() => ['nothing: it ended']),
    ])) as [string];
    const address = /^listening (\S+:\d+)$/.exec(line)?.[1];
    if (address === undefined) throw new Error(`the example server said ${line}`);
    child.stdout.resume();
    return { address, end };
  } catch (error) {
    await end();
    throw error;
  }
}
