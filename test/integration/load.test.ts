/** Loads that a run plays by itself, from its start to its exit code: on one machine, with servers that count, stall or refuse. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../ledger.ts';
import { until } from '../patience.ts';
import { Workplace, type SwarmProcess } from './swarm-process.ts';

const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping ' + client.id + '\\r\\n', line());
export const note = (client) => client.send_noreply('note ' + client.id + '\\r\\n');
`;
const ACTIONS = 'actions:\n  - { command: ping, sleep_between_rounds: [0.02, 0.1], sleep_after_action: 0 }\n';
const SCRIPT = `protocol: lines\n${ACTIONS}`;

let place: Workplace;
let ledger: Ledger;
const serve = async (options?: LedgerOptions): Promise<void> => {
  ledger = await start_ledger(options);
};
beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  await serve();
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

const FILE = (): string => join(place.folder, 'summary.json');
const summary = (): Summary => JSON.parse(readFileSync(FILE(), 'utf8')) as Summary;

/** `swarm run` against the ledger, or against `port`. */
function run(script: string, more: readonly string[] = [], port = ledger.port): SwarmProcess {
  const file = place.write('scripts/a.yml', script);
  const common = ['-r', `127.0.0.1:${port}`, '-s', file, '-l', '127.0.0.1:0', '--summary', FILE()];
  return place.swarm('run', ...common, ...more);
}

describe.each([0, 2])('with %i workers', (workers) => {
  it('a load in the script is played to its end, and the run with it', async () => {
    const load = [
      'load:',
      '  - set 20 over 1s',
      '  - wait ready within 50s',
      '  - mark up',
      '  - repeat 2:',
      '      - incr 5',
      '      - hold 300ms & annotate "five more; twice"',
      '      - decr 5',
      '  - stop',
    ];
    const swarm = run(`${SCRIPT}${load.join('\n')}\n`, ['--workers', String(workers)]);
    expect(await swarm.exited, swarm.err).toBe(0);
    const books = await ledger.settled();
    expect(books.open_peak).toBeLessThanOrEqual(25);
    expect(summary()).toMatchObject({
      target: 20,
      balanced: true,
      clients: { live: 0 },
      connections: { established: books.accepted, open: 0 },
      requests: { sent: books.requests },
      mark: { text: 'up' },
      load: { state: 'over', step: 10, steps: 10, text: 'stop' },
    });
  });
});

describe('the exit code', () => {
  it('is 98 where a wait cannot be met, and the log says of how many', async () => {
    // one address refuses: half of the clients never get a connection
    const closed = createServer().listen(0, '127.0.0.1');
    await until('the port is known', () => closed.address() !== null);
    const { port } = closed.address() as { port: number };
    await new Promise((done) => closed.close(done));
    const swarm = run(SCRIPT, ['-r', `127.0.0.1:${port}`, '--load', 'set 10; wait within 2s; set 20; stop']);
    expect(await swarm.exited, swarm.err).toBe(98);
    expect(swarm.err).toMatch(/the load could not be played to its end: `wait within 2s`: 5 of 10 clients were open/);
    expect(summary()).toMatchObject({ target: 10, balanced: true, load: { state: 'failed', step: 2 } });
  });

  it('is 98 where more is asked for than fits, and nothing is begun', async () => {
    const swarm = run(SCRIPT, ['--max-connections', '30', '--load', 'set 20; hold 1s; incr 20; stop']);
    expect(await swarm.exited, swarm.err).toBe(98);
    expect(swarm.err).toMatch(
      /the load cannot be played: the load asks for 40 clients at once, 30 fit: --max-connections/,
    );
    expect((await ledger.settled()).accepted).toBe(0);
  });

  it.each<[string, LedgerOptions]>([
    ['each connection is reset', { reply: () => 'reset' }],
    ['each connection is closed', { reply: () => 'close' }],
  ])('is 1 where nothing worked: %s', async (_, options) => {
    await ledger.close();
    await serve(options);
    const swarm = run(SCRIPT, ['--load', 'set 5; hold 500ms; stop']);
    expect(await swarm.exited, swarm.err).toBe(1);
    expect(swarm.err).toMatch(/nothing worked: \d+ rounds ended, and none of them well/);
  });

  it('is 1 where nobody listens', async () => {
    const { port } = ledger;
    await ledger.close();
    const swarm = run(SCRIPT, ['--load', 'set 5; hold 500ms; stop'], port);
    expect(await swarm.exited, swarm.err).toBe(1);
    expect(swarm.err).toMatch(/nothing worked: \d+ connections were tried, and none was established/);
  });

  it('is 0 where the server never answers: rounds that were cut off show nothing', async () => {
    await ledger.close();
    await serve({ reply: () => 'silent' });
    const swarm = run(SCRIPT, ['--load', 'set 5; wait within 50s; stop', '--drain-timeout', '500ms']);
    expect(await swarm.exited, swarm.err).toBe(0);
    expect(summary().actions[0]).toMatchObject({ ok: 0, aborted: 5 });
  });

  it('is 0 after SIGTERM in the middle: it stops in stages', async () => {
    const swarm = run(SCRIPT, ['--load', 'set 10; hold 1h; stop']);
    await ledger.until(({ requests }) => requests > 50);
    swarm.child.kill('SIGTERM');
    expect(await swarm.exited, swarm.err).toBe(0);
    expect(summary()).toMatchObject({ balanced: true, load: { state: 'stopped', text: 'hold 1h' } });
  });
});

describe('bad input', () => {
  it('is told at once, all of it, with its places', async () => {
    const script = `${SCRIPT}load:\n  - set 10 ober 3s\n  - repeat 3:\n      - hold\n      - wait\n  - incr 5 in nobody\n  - a: b\n`;
    const swarm = run(script);
    expect(await swarm.exited).toBe(2);
    expect(swarm.err).toMatch(/a\.yml:5:5 usage: set N/);
    expect(swarm.err).toMatch(/a\.yml:7:9 usage: hold TIME/);
    expect(swarm.err).toMatch(/a\.yml:8:9 a wait in a load has an end/);
    expect(swarm.err).toMatch(/a\.yml:9:5 no group `nobody`: the script has main/);
    expect(swarm.err).toMatch(/a\.yml:10:5 a step is a text, or `repeat N:`/);
    expect((await ledger.settled()).accepted).toBe(0);
  });

  it('on the command line too, and a segment cannot wait', async () => {
    const bad = run(SCRIPT, ['--load', 'set 10; hold; stop; set 1']);
    expect(await bad.exited).toBe(2);
    expect(bad.err).toMatch(/--load:1:9 usage: hold TIME/);
    expect(bad.err).toMatch(/--load:1:21 nothing is played after `stop`/);
    const alone = run(SCRIPT, ['--load', 'set 10; wait within 5s; stop', '--segment', '1/2', '--seed', 'x']);
    expect(await alone.exited).toBe(2);
    expect(alone.err).toMatch(/--load:1:9 a load of a segment cannot wait/);
  });
});

it('two segments play one load', async () => {
  const file = place.write('scripts/a.yml', SCRIPT);
  const parts = ['1/3', '1/3:1'].map((segment, i) => {
    const out = join(place.folder, `${i}.json`);
    const options = ['--segment', segment, '--seed', 'one', '--load', 'set 30 over 1s; hold 2s; set 6; hold 1s; stop'];
    const common = ['-r', `127.0.0.1:${ledger.port}`, '-s', file, '-l', '127.0.0.1:0'];
    return { out, swarm: place.swarm('run', ...common, ...options, '--summary', out) };
  });
  for (const { swarm } of parts) expect(await swarm.exited, swarm.err).toBe(0);
  const made = parts.map(({ out }) => (JSON.parse(readFileSync(out, 'utf8')) as Summary).clients.created);
  expect(made).toEqual([10, 20]);
  expect((await ledger.settled()).accepted).toBe(30);
});

describe('by hand beside a load', () => {
  it('a command counts at once, and the answer says what comes next', async () => {
    const swarm = run(SCRIPT, ['--load', 'set 10 over 1h; set 40; hold 1h; stop']);
    const session = await swarm.console();
    expect(await session.ask('set 5')).toEqual([
      expect.stringMatching(/^OK target 5.*; the load goes on with `set 40` in 3[56]\d\d(\.\d)? s$/),
    ]);
    expect((await session.ask('load'))[1]).toMatch(/^load: step 1 of 4, set 10 over 1h: .* left/);
    expect((await session.ask('load set 3'))[0]).toMatch(/^ERR load_plays a load plays already, at `set 10 over 1h`/);
    expect((await session.ask('pause'))[0]).toMatch(/^OK paused; the load goes on with `set 40` after `resume`/);
    expect((await session.ask('load'))[1]).toMatch(/paused by hand, goes on after `resume`/);
    await session.ask('resume');
    expect((await session.ask('load end'))[0]).toBe('OK the load ends in `set 10 over 1h`; what is planned stays');
    expect((await session.ask('load end'))[0]).toBe('ERR no_load no load plays');
    expect((await session.ask('wait within 50s'))[0]).toBe('OK 5 open');
    expect((await session.ask('load set 1; hodl 3s'))[0]).toBe(
      'ERR bad_load column 13: `hodl` is no step of a load: did you mean `hold`?',
    );
    expect((await session.ask('repeat 2 (incr 2; hold 100ms)'))[0]).toMatch(
      /^OK playing 4 steps, at most 9 clients; now `hold 100ms`/,
    );
    await until('both rounds are played', async () => (await session.ask('load'))[1] === 'load: over, after 4 steps');
    expect((await session.ask('wait ready within 50s'))[0]).toBe('OK 9 ready');
    expect((await session.ask('events 8')).some((line) => /incr 2 .*the load/.test(line))).toBe(true);
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
  });
});
