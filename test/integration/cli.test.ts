import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../ledger.ts';
import { until } from '../patience.ts';
import { ROOT, Workplace } from './swarm-process.ts';

const SCRIPT = `protocol: lines
actions:
  - command: ping
    args: { uid: 7 }
    sleep_between_rounds: 0.05
    sleep_after_action: 0
`;
const MODULE = `import { reply_parser_crlf, type FakeClient } from 'swarm';
export async function ping(client: FakeClient, { uid }: { uid: number }) {
  await client.send_for_reply(\`ping \${uid}\\r\\n\`, reply_parser_crlf());
}
`;

let place: Workplace;
let ledger: Ledger;
let script: string;

beforeEach(() => {
  place = new Workplace();
  script = place.write('scripts/a.yml', SCRIPT);
  place.write('protocols/lines.ts', MODULE);
});
afterEach(async () => {
  await place.close();
  await ledger?.close();
});

const listen = async (options: LedgerOptions = {}): Promise<string[]> => {
  ledger = await start_ledger(options);
  return ['-r', `${ledger.host}:${ledger.port}`, '-s', script];
};
const run_args = async (options: LedgerOptions = {}): Promise<string[]> => [
  ...(await listen(options)),
  '-l',
  '127.0.0.1:0',
];
const read_summary = (file: string): Summary => JSON.parse(readFileSync(file, 'utf8')) as Summary;

describe('swarm check', () => {
  it.each(['example', 'heartbeat', 'chat', 'redis'])('takes the example %s', async (name) => {
    const swarm = place.swarm('check', '-s', join(ROOT, `examples/scripts/${name}.yml`));
    expect(await swarm.exited).toBe(0);
    expect(swarm.out).toMatch(/^OK script \S+: \d actions?, protocol \w+\n$/);
    expect(swarm.err).toBe('');
    expect(place.left_behind).toEqual([]);
  });

  it('tells groups and all their modules', async () => {
    const swarm = place.swarm('check', '-s', join(ROOT, 'examples/scripts/groups.yml'));
    expect(await swarm.exited).toBe(0);
    expect(swarm.out).toMatch(/^OK script \S+: 5 actions in 3 groups, protocol chat, durian\n$/);
  });

  it('tells what the load will do: of --load, else of the script', async () => {
    const own = place.write('scripts/b.yml', `${SCRIPT}load: [set 20 over 10s, wait within 5s, stop]\n`);
    const of_script = place.swarm('check', '-s', own);
    expect(await of_script.exited).toBe(0);
    const [ok, about, , ...rest] = of_script.out.split('\n');
    expect(ok).toMatch(/^OK script /);
    expect(about).toBe('load: 3 steps, at least 10 s, at most 20 clients; then it ends the run');
    expect(rest.slice(0, 3).map((line) => line.split(/ {2,}/)[1])).toEqual([
      'set 20 over 10s',
      'wait within 5s',
      'stop',
    ]);
    expect(rest[4]).toMatch(/^20 │ +.*█$/);

    const of_option = place.swarm('check', '-s', own, '--load', 'hold 5s; set 3');
    expect(await of_option.exited).toBe(0);
    expect(of_option.out).toContain('load: 2 steps, 5 s, at most 3 clients; then the run goes on with 3 clients\n');

    const faulty = place.swarm('check', '-s', own, '--load', 'hold 5s; sett 3');
    expect(await faulty.exited).toBe(2);
    expect(faulty.out).toBe('');
    expect(faulty.err).toContain('--load:1:10 `sett` is no step of a load: did you mean `set`?');
  });

  it('shows every fault of the file at once, by place', async () => {
    const bad = place.write(
      'scripts/b.yml',
      'protocol: lines\nactions:\n  - command: ping\n    round: 2\n    sleep_after_action: [5, 1]\n',
    );
    const swarm = place.swarm('check', '-s', bad);
    expect(await swarm.exited).toBe(2);
    expect(swarm.out).toBe('');
    expect(swarm.err).toMatch(/b\.yml:4:5 .*round.*did you mean `?rounds/);
    expect(swarm.err).toMatch(/b\.yml:5:\d+ .*sleep_after_action/);
    expect(swarm.err).toContain('bad_script');
  });

  it('shows every action that the module cannot play, with the nearest name', async () => {
    const bad = place.write('scripts/b.yml', `${SCRIPT}  - command: pinh\n  - command: setup\n`);
    const swarm = place.swarm('check', '-s', bad);
    expect(await swarm.exited).toBe(2);
    expect(swarm.err).toContain('setup');
    const other = place.write('scripts/c.yml', `${SCRIPT}  - command: pinh\n  - command: nothing_like_it\n`);
    const again = place.swarm('check', '-s', other);
    expect(await again.exited).toBe(2);
    expect(again.err).toMatch(/c\.yml:7:\d+ .*pinh.*did you mean `?ping/);
    expect(again.err).toMatch(/c\.yml:8:\d+ .*nothing_like_it/);
  });

  it('shows the faults of the script and those before its module together', async () => {
    const bad = place.write(
      'scripts/b.yml',
      'protocol: lines\nactions:\n  - command: pinh\n  - command: ping\n    round: 2\n  - command: pign\n',
    );
    const swarm = place.swarm('check', '-s', bad);
    expect(await swarm.exited).toBe(2);
    expect(swarm.err.match(/b\.yml:\d+:\d+/g)?.map((at) => at.slice(6))).toEqual(['3:14', '5:5', '6:14']);
    place.write('protocols/lines.ts', 'export const = 1;\n');
    const broken = place.swarm('check', '-s', bad);
    expect(await broken.exited).toBe(2);
    expect(broken.err).toMatch(/b\.yml:5:5 .*round/);
    expect(broken.err).toMatch(/lines\.ts:1:14 .*module_build/s);
    expect(broken.err).toContain('bad_script');
    expect(place.left_behind).toEqual([]);
  });

  it('ends with 2 where there is no script or no module', async () => {
    const missing = place.swarm('check', '-s', join(place.folder, 'none.yml'));
    expect(await missing.exited).toBe(2);
    expect(missing.err).toContain('no_script');
    const no_module = place.swarm('check', '-s', place.write('scripts/d.yml', SCRIPT.replace('lines', 'linse')));
    expect(await no_module.exited).toBe(2);
    expect(no_module.err).toMatch(/did you mean lines/);
  });

  it('keeps what the module prints away from stdout', async () => {
    place.write('protocols/lines.ts', `console.log('loaded');\n${MODULE}`);
    const swarm = place.swarm('check', '-s', script);
    expect(await swarm.exited).toBe(0);
    expect(swarm.out).not.toContain('loaded');
    expect(swarm.err).toContain('loaded');
  });

  it('does so when the module imports its console', async () => {
    place.write('protocols/lines.ts', `import { log } from 'node:console';\nlog('loaded');\n${MODULE}`);
    const swarm = place.swarm('check', '-s', script);
    expect(await swarm.exited).toBe(0);
    expect(swarm.out).toMatch(/^OK script .*\n$/);
    expect(swarm.err).toContain('loaded');
  });

  it('names what a computed import asked for that nobody could follow, and takes one that could be', async () => {
    place.write('protocols/rooms.ts', 'export const x = 2;');
    const module = (what: string): string => `const name: string = 'rooms';\nawait import(${what});\n${MODULE}`;
    place.write('protocols/lines.ts', module('`./${name}.ts`.slice()'));
    const lost = place.swarm('check', '-s', script);
    expect(await lost.exited).toBe(2);
    expect(lost.err).toMatch(
      /loaded: rooms\.ts is not in the bundle: of an import\(…\) \(\S*lines\.ts:2:7\) .*write import\('\.\/rooms\.ts'\) \(module_load/,
    );
    place.write('protocols/lines.ts', `export const later = (name: string) => import(name);\n${MODULE}`);
    const warned = place.swarm('check', '-s', script);
    expect(await warned.exited, warned.err).toBe(0);
    expect(warned.err).toMatch(/lines\.ts:1:40 import\(…\) of a computed name: /);
    place.write('protocols/lines.ts', module('`./${name}.ts`'));
    const found = place.swarm('check', '-s', script);
    expect(await found.exited, found.err).toBe(0);
  });

  it('refuses a compiled add-on that only shows at run time, at its line', async () => {
    const add_on = place.write('protocols/add_on.node', '');
    const load = `import { createRequire } from 'node:module';\ncreateRequire(import.meta.url)('./add_on.node');\n`;
    const file = place.write('protocols/lines.ts', load + MODULE);
    const swarm = place.swarm('check', '-s', script);
    expect(await swarm.exited).toBe(2);
    expect(swarm.err).toContain(`${file} needs ${add_on}, a compiled add-on, at ${file}:2:`);
  });
});

describe('swarm schema', () => {
  it('prints the JSON Schema of scripts', async () => {
    const swarm = place.swarm('schema');
    expect(await swarm.exited).toBe(0);
    expect(JSON.parse(swarm.out)).toMatchObject({ $schema: 'http://json-schema.org/draft-07/schema#' });
  });
});

describe('a clone without dist/', () => {
  it('says how to build it', () => {
    place.write('clone/package.json', '{ "type": "module" }');
    const file = place.write('clone/bin/swarm', readFileSync(join(ROOT, 'bin/swarm'), 'utf8'), 0o755);
    const { status, stdout, stderr } = spawnSync(file, ['check'], { encoding: 'utf8' });
    const said = `swarm: not built yet: run npm run build in ${join(realpathSync(place.folder), 'clone')}\n`;
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: said });
  });
});

describe('swarm try', () => {
  it('prints what one client sends and gets in one iteration, without its sleeps', async () => {
    script = place.write(
      'scripts/a.yml',
      SCRIPT.replace('sleep_after_action: 0', 'rounds: 3\n    sleep_after_action: 1000'),
    );
    const swarm = place.swarm('try', ...(await listen()));
    expect(await swarm.exited).toBe(0);
    expect(swarm.out.match(/^\d+\.\d+ send 8 bytes "ping 7\\r\\n"$/gm)).toHaveLength(3);
    expect(swarm.out.match(/^\d+\.\d+ reply 9 bytes "OK ping\\r\\n"$/gm)).toHaveLength(3);
    expect(swarm.out).toMatch(/^ping +3 +3 +0 +0 /m);
    expect(swarm.out).toMatch(/\nOK\n$/);
    expect((await ledger.settled()).requests).toBe(3);
    expect(place.left_behind).toEqual([]);
  });

  it('plays one client of each group, each with its own module', async () => {
    place.write('protocols/other.ts', MODULE.replace('ping ${uid}', 'other ${uid}'));
    script = place.write(
      'scripts/a.yml',
      `protocol: lines
groups:
  a: { share: 1, actions: [{ command: ping, args: { uid: 7 }, rounds: 2 }] }
  b: { share: 0, protocol: other, actions: [{ command: ping, name: pong, args: { uid: 8 } }], iterations: 5 }
`,
    );
    const swarm = place.swarm('try', ...(await listen()));
    expect(await swarm.exited).toBe(0);
    expect(swarm.out).toMatch(/^one client of each of 2 groups on /);
    expect(swarm.out.match(/^a \d+\.\d+ send 8 bytes "ping 7\\r\\n"$/gm)).toHaveLength(2);
    expect(swarm.out.match(/^b \d+\.\d+ send 9 bytes "other 8\\r\\n"$/gm)).toHaveLength(1);
    expect(swarm.out).toMatch(/^a\.ping +2 +2 +0 +0 /m);
    expect(swarm.out).toMatch(/^b\.pong +1 +1 +0 +0 /m);
    expect(swarm.out).toMatch(/\nOK\n$/);
    expect((await ledger.settled()).requests).toBe(3);
  });

  it('ends with 1 and the reason when the server, the reply or the module is wrong', async () => {
    const args = await listen({ reply: () => 'close' });
    const closed = place.swarm('try', ...args);
    expect(await closed.exited).toBe(1);
    expect(closed.out).toMatch(/server_closed.*\n(.*\n)*FAILED\n$/);
    place.write('protocols/lines.ts', `export function ping() { throw new TypeError('my bug'); }`);
    const bug = place.swarm('try', ...args);
    expect(await bug.exited).toBe(1);
    expect(bug.err).toMatch(/TypeError: my bug[^]*lines\.ts:1:\d+/);
    await ledger.close();
    const refused = place.swarm('try', ...args);
    expect(await refused.exited).toBe(1);
    expect(refused.out).toContain('ECONNREFUSED');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('lets teardown run to its end after %s', async (signal) => {
    const teardown = `export const teardown = async ({ log }) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  log.info('all put away');
};`;
    place.write('protocols/lines.ts', `${MODULE}\n${teardown}`);
    const swarm = place.swarm('try', ...(await listen({ reply: () => 'silent' })));
    await swarm.said(/ send 8 bytes/);
    swarm.child.kill(signal);
    expect(await swarm.exited).toBe(1);
    expect(swarm.out).toMatch(/\nFAILED\n$/);
    expect(swarm.err).toContain('teardown: all put away');
    expect(swarm.err).not.toContain('teardown of the module failed');
    expect(place.left_behind).toEqual([]);
  });

  it('gives up setup when interrupted, and says so', async () => {
    const setup = `export const setup = () => new Promise(() => { process.stdout.write('in setup\\n'); });`;
    place.write('protocols/lines.ts', `${MODULE}\n${setup}`);
    const swarm = place.swarm('try', ...(await listen()));
    // it goes to the log
    for (let i = 0; i < 1000 && !swarm.err.includes('in setup'); i++) await sleep(20);
    swarm.child.kill('SIGINT');
    expect(await swarm.exited).toBe(1);
    expect(swarm.err).toContain('interrupted while setup of the module was running');
    expect(swarm.err).not.toContain('setup_failed');
    expect(ledger.books().accepted).toBe(0);
    expect(place.left_behind).toEqual([]);
  });

  it('tells once that a function waits for nothing it knows of', async () => {
    place.write('protocols/lines.ts', 'export const ping = () => new Promise(() => undefined);');
    const swarm = place.swarm('try', ...(await listen()), '--reply-timeout', '500ms');
    const hint = 'still in ping, no call is open: is a promise never settled? Ctrl-C ends';
    await until(hint, () => swarm.err.includes(hint));
    await sleep(1500); // another report
    swarm.child.kill('SIGINT');
    expect(await swarm.exited).toBe(1);
    expect(swarm.err.split(hint)).toHaveLength(2);
  });

  it('calls a push a push, and prints what the module prints in its place', async () => {
    ledger = await start_ledger({ reply: (text) => ({ text: `MSG before\r\nOK ${text}\r\nMSG behind` }) });
    place.write(
      'protocols/lines.ts',
      `import { line, match, type FakeClient } from 'swarm';
export const messages = line();
export const on_message = (client: FakeClient, text: string) => console.log('heard ' + text);
export async function ping(client: FakeClient) {
  await client.send_for_reply('one\\r\\n', match<string>((text) => text.startsWith('OK')));
  console.log('between');
  await client.send_for_reply('two\\r\\n', match<string>((text) => text.startsWith('OK')));
  await new Promise((done) => setTimeout(done, 1));
}`,
    );
    // one file for both, as a terminal shows them
    const both = join(place.folder, 'both');
    const to_file = ['sh', '-c', `exec "$0" "$@" > ${both} 2>&1`];
    const swarm = place.swarm_through(to_file, 'try', '-r', `${ledger.host}:${ledger.port}`, '-s', script);
    expect(await swarm.exited).toBe(0);
    const said = readFileSync(both, 'utf8').split('\n');
    const told = said.flatMap((text) => /^\d+\.\d+ (\w+)|"msg":"(\w+)|(^OK)$/.exec(text)?.slice(1).find(Boolean) ?? []);
    const turn = ['send', 'push', 'heard', 'reply', 'push', 'heard'];
    expect(told).toEqual(['connect', ...turn, 'between', ...turn, 'end', 'OK']);
    expect(said.find((text) => text.includes(' end '))).toMatch(/^\d+\.\d+ end done: the iteration is over$/);
  });

  it('plays once, also while a teardown takes its time', async () => {
    place.write(
      'protocols/lines.ts',
      `import { line } from 'swarm';
export const teardown = () => new Promise((done) => setTimeout(done, 500));
export const ping = (client) => client.send_for_reply('ping\\r\\n', line());`,
    );
    const swarm = place.swarm('try', ...(await listen()));
    expect(await swarm.exited).toBe(0);
    expect(ledger.books()).toMatchObject({ accepted: 1, requests: 1 });
  });

  it('prints nothing that a terminal would act on', async () => {
    place.write('protocols/lines.ts', `export function ping() { throw new Error('\\x1b[2Jgone' + 'x'.repeat(1000)); }`);
    const swarm = place.swarm('try', ...(await listen()));
    expect(await swarm.exited).toBe(1);
    expect(swarm.out).toMatch(/^\w+: .*\\x1b\[2Jgonex+…$/m);
    expect(swarm.out).not.toContain('\x1b');
  });
});

describe('swarm run', () => {
  it.each(['0', '2'])(
    'does as the console says, with %s workers; its books are those of the server',
    async (workers) => {
      const summary_file = join(place.folder, 'summary.json');
      const swarm = place.swarm(
        ...(await run_args()),
        '--workers',
        workers,
        '--summary',
        summary_file,
        '--report-every',
        '1s',
      );
      const session = await swarm.console();
      expect(await session.ask('incr 40')).toEqual(['OK target 40']);
      expect(await session.ask('wait within 50s')).toEqual(['OK 40 open']);
      expect(await session.ask('decr 10')).toEqual(['OK target 30']);
      await swarm.said(/target 30, live 30.*messages\/s/);
      expect((await session.ask('stop'))[0]).toMatch(/^OK stopping/);
      expect(await swarm.exited).toBe(0);
      expect(swarm.out).toContain('the books balance');
      const books = await ledger.settled();
      const summary = read_summary(summary_file);
      expect(summary).toMatchObject({ format: 'swarm-summary/1', final: true, balanced: true, complete: true });
      expect(summary.clients).toMatchObject({ created: 40, live: 0, peak: 40 });
      expect(summary.connections).toMatchObject({ established: books.accepted, open: 0 });
      expect(summary.requests.sent).toBe(books.requests);
      // decr takes clients at once, also those with a request under way
      expect(summary.requests.ok + summary.requests.aborted).toBe(books.requests);
      expect(summary.requests.aborted).toBeLessThanOrEqual(10);
      expect(summary.bytes.sent).toBe(books.bytes.received);
      expect(place.left_behind).toEqual([]);
    },
  );

  it('ends in stages with a summary and exit code 0 on one SIGTERM or SIGINT, and not on SIGHUP', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const summary_file = join(place.folder, `${signal}.json`);
      const swarm = place.swarm(...(await run_args()), '--summary', summary_file);
      const session = await swarm.console();
      await session.ask('incr 5');
      await session.ask('wait within 50s');
      swarm.child.kill('SIGHUP');
      expect((await session.ask('status'))[0]).toMatch(/^OK/);
      swarm.child.kill(signal);
      expect(await swarm.exited).toBe(0);
      expect(read_summary(summary_file)).toMatchObject({ final: true, balanced: true });
      await ledger.close();
    }
  });

  // what is queued when a connection closes has a second to go: a machine on which the server takes longer proves nothing, and tries again
  it.each(['0', '1'])('loses no queued byte at its end, with %s workers', async (workers) => {
    const size = 6 * 1024 * 1024;
    place.write(
      'protocols/lines.ts',
      `export async function ping(client) { void client.send_noreply(Buffer.alloc(${size})); await client.close(); }`,
    );
    /** Resolves with the bytes that came, and how long that took from the first of them. */
    const end_of = async (pause_ms: number): Promise<{ received: number; took_ms: number }> => {
      let received = 0;
      let first = 0;
      // reads slower than the other end writes
      const slow = createServer((socket) => {
        socket.on('data', (data) => {
          first ||= performance.now();
          received += data.length;
          socket.pause();
          setTimeout(() => socket.resume(), pause_ms);
        });
      }).listen(0, '127.0.0.1');
      await once(slow, 'listening');
      const ended = once(slow, 'connection').then(([socket]) => once(socket as Socket, 'close'));
      const { port } = slow.address() as AddressInfo;
      const swarm = place.swarm('-r', `127.0.0.1:${port}`, '-s', script, '-l', '127.0.0.1:0', '--workers', workers);
      const session = await swarm.console();
      await session.ask('incr 1');
      await until('it sends', () => received > 0);
      await session.ask('stop');
      expect(await swarm.exited).toBe(0);
      await ended;
      slow.close();
      return { received, took_ms: performance.now() - first };
    };
    for (const pause_ms of [4, 2, 1, 1, 1]) {
      const { received, took_ms } = await end_of(pause_ms);
      if (received === size) return;
      expect(took_ms, `${received} of ${size} bytes came`).toBeGreaterThan(1000);
    }
    expect.fail('this machine never read them within a second');
  });

  it('ends as asked on a signal during setup, with a summary', async () => {
    place.write(
      'protocols/lines.ts',
      `${MODULE}\nexport const setup = () => { console.log('in setup'); return new Promise(() => {}); };`,
    );
    const summary_file = join(place.folder, 'summary.json');
    const swarm = place.swarm(...(await run_args()), '--summary', summary_file);
    await until('setup', () => swarm.err.includes('in setup'));
    swarm.child.kill('SIGTERM');
    expect(await swarm.exited, swarm.err).toBe(0);
    expect(read_summary(summary_file)).toMatchObject({ final: true, balanced: true });
  });

  it.each([
    ['SIGINT', 130, '0'],
    ['SIGTERM', 143, '2'],
  ] as const)('ends at once on a second %s', async (signal, code, workers) => {
    const swarm = place.swarm(
      ...(await run_args({ reply: () => 'silent' })),
      '--drain-timeout',
      '60s',
      '--workers',
      workers,
    );
    const session = await swarm.console();
    await session.ask('incr 5');
    await session.ask('wait within 50s');
    swarm.child.kill(signal);
    for (let phase = ''; !phase.includes('drain'); [, phase = ''] = await session.ask('status')) await sleep(20);
    swarm.child.kill(signal);
    expect(await swarm.exited).toBe(code);
    await ledger.settled();
    expect(place.left_behind).toEqual([]);
  });

  it('goes on when nobody reads stdout and stderr any more', async () => {
    const swarm = place.swarm(...(await run_args()), '--report-every', '1s', '--log-level', 'debug');
    const session = await swarm.console();
    swarm.child.stdout!.destroy();
    swarm.child.stderr!.destroy();
    expect(await session.ask('incr 5')).toEqual(['OK target 5']);
    await sleep(1500);
    expect(await session.ask('wait within 50s')).toEqual(['OK 5 open']);
    await session.ask('stop');
    expect(await swarm.exited).toBe(0);
  });

  it.each(['0', '2'])('goes on when stderr is open but never read, with %s workers', async (workers) => {
    const swarm = place.swarm(...(await run_args()), '--workers', workers);
    swarm.child.stderr!.pause();
    const session = await swarm.console();
    for (let i = 0; i < 1000; i++) await session.ask(`mark ${'x'.repeat(190)}`);
    expect(await session.ask('incr 5')).toEqual(['OK target 5']);
    expect(await session.ask('wait within 50s')).toEqual(['OK 5 open']);
    await session.ask('stop');
    expect(await once(swarm.child, 'exit')).toEqual([0, null]);
  });

  it('logs what a worker prints past its log, up to its last words', async () => {
    place.write(
      'protocols/lines.ts',
      `export function ping() { process.stdout.write('on stdout'); process.stderr.write('last words'); process.exit(0); }`,
    );
    const swarm = place.swarm(...(await run_args()), '--workers', '1');
    const session = await swarm.console();
    await session.ask('incr 1');
    await until('its last words', () => swarm.err.includes('last words'));
    expect(swarm.err).toMatch(/"level":"error".*"worker":"w1".*last words/);
    expect(swarm.err).toMatch(/"level":"info".*"worker":"w1".*on stdout/);
    expect(swarm.out).not.toContain('on stdout');
    // the fifth time it is given up
    expect(await swarm.exited).toBe(1);
    expect(swarm.out).toMatch(/worker_died .*5 .* exited with code 0: last words/);
  });

  it('says on stderr what a module printed before it ends the process, without workers', async () => {
    place.write(
      'protocols/lines.ts',
      `export function ping() { process.stdout.write('on stdout'); console.error('last words'); process.exit(0); }`,
    );
    const swarm = place.swarm(...(await run_args()));
    const session = await swarm.console();
    await session.ask('incr 1').catch(() => 'it may be gone before it answers');
    expect(await swarm.exited).toBe(1);
    expect(swarm.err).toMatch(/^on stdout\nlast words$/m);
    expect(swarm.out).not.toContain('on stdout');
  });

  it.each([
    ['at top level', 'process.exit(0);'],
    ['in setup', 'export const setup = () => process.exit(0);'],
    ['in a round', 'export const connected = () => { setTimeout(process.exit, 10, 0); };'],
  ])('ends with 1 and tells when the module calls process.exit(0) %s', async (where, code) => {
    place.write('protocols/lines.ts', `${MODULE}\n${code}`);
    const swarm = place.swarm(...(await run_args()), '--workers', '0');
    if (where === 'in a round') await (await swarm.console()).ask('incr 1').catch(() => undefined);
    expect(await swarm.exited).toBe(1);
    expect(swarm.err).toMatch(/without a summary: process\.exit\(0\) was called\n +at /);
    expect(place.left_behind).toEqual([]);
  });

  it('ends with 2 where there is no folder for temporary files', async () => {
    rmSync(place.temporary, { recursive: true });
    const swarm = place.swarm('check', '-s', script);
    expect(await swarm.exited).toBe(2);
    expect(swarm.err).toMatch(/^swarm: .*tmp: ENOENT.*\(bad_tmpdir: .*\)\n$/);
  });

  it('says before the first client what will not work', async () => {
    place.write('protocols/lines.ts', `${MODULE}\nexport function setup() { console.log('setup ran'); }`);
    const args = await listen();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const token = place.write('token', 'secret-of-the-operator', 0o644);
    const short = place.write('short', 'fifteen-letters', 0o600);
    const cases: [string[], number, RegExp][] = [
      [['-l', `127.0.0.1:${port}`], 2, /console_in_use/],
      [['-l', '0.0.0.0:0'], 2, /console_open/],
      [['-l', '127.0.0.1:0', '--console-token-file', token], 2, /0600/],
      [['-l', '127.0.0.1:0', '--console-token-file', short], 2, /15 characters.*at least 16.*bad_token_file/],
      [['-l', '127.0.0.1:0', '--summary', '/nowhere/at/all.json'], 2, /bad_summary_path/],
      [['-l', '127.0.0.1:0', '--summary', '/dev/null'], 2, /not a regular file/],
      [['-l', '127.0.0.1:0', '-r', 'nowhere.invalid:80'], 1, /name_unknown/],
    ];
    for (const [more, code, text] of cases) {
      const swarm = place.swarm(...args, ...more);
      expect([await swarm.exited, swarm.err], more.join(' ')).toEqual([code, expect.stringMatching(text)]);
      expect(swarm.err).not.toContain('setup ran');
    }
    taken.close();
    expect(ledger.books().accepted).toBe(0);
    expect(place.left_behind).toEqual([]);
  });

  it('ends with 1 when setup fails, before the console listens', async () => {
    place.write('protocols/lines.ts', `${MODULE}\nexport function setup() { throw new Error('no database'); }`);
    const swarm = place.swarm(...(await run_args()));
    expect(await swarm.exited).toBe(1);
    expect(swarm.err).toMatch(/setup_failed|setup of the module failed/);
    expect(swarm.err).toContain('no database');
    expect(swarm.out).not.toContain('listening');
  });

  it('ends with 1 when teardown fails or the summary cannot be written', async () => {
    place.write('protocols/lines.ts', `${MODULE}\nexport function teardown() { throw new Error('cannot clean up'); }`);
    const failing = place.swarm(...(await run_args()));
    await (await failing.console()).ask('stop');
    expect(await failing.exited).toBe(1);
    expect(failing.err).toContain('cannot clean up');
    await ledger.close();

    place.write('protocols/lines.ts', MODULE);
    mkdirSync(join(place.folder, 'gone'));
    const lost = place.swarm(...(await run_args()), '--summary', join(place.folder, 'gone/summary.json'));
    const session = await lost.console();
    rmSync(join(place.folder, 'gone'), { recursive: true });
    await session.ask('stop');
    expect(await lost.exited).toBe(1);
    expect(lost.err).toContain('summary_lost');
    expect(lost.out).toContain('the books balance');
  });
});
