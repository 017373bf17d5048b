/** How runs begin and end, and who is kept out. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFailed } from 'vitest';
import { VERSION } from '../../../src/foundation/version.ts';
import { read_parts, sha256_of, write_parts } from '../../../src/machines/store/bundles.ts';
import { read_credentials } from '../../../src/machines/store/credentials.ts';
import { to_text, type Bundle, type SwarmPlan } from '../../../src/machines/store/documents.ts';
import { open_nats_store } from '../../../src/machines/store/nats.ts';
import { check_books } from '../../../src/metrics/books.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import { start_ledger } from '../../ledger.ts';
import { Workplace, type SwarmProcess } from '../swarm-process.ts';
import { HAS_NATS, until, with_slack, World, type Coordinator } from './kit.ts';

/** rounds of 3 s */
const SLOW_ROUNDS =
  'protocol: many\nactions:\n  - command: ping\n    sleep_after_action: 1.5\n  - command: ping\n    sleep_after_action: 1.5\n';

let world: World;
afterEach(() => world?.close());

const read = ({ file }: Coordinator): Summary => JSON.parse(readFileSync(file, 'utf8')) as Summary;

async function hold(lead: Coordinator, count: number): Promise<void> {
  expect(await lead.ask(`incr ${count}`)).toBe(`OK target ${count}`);
  await world.until_open(count);
}

describe.skipIf(!HAS_NATS)('the end of a run', () => {
  it('with a dead agent and a frozen one: stopped (2 unconfirmed), both named, the others end properly', async () => {
    world = await World.open({ isolation: '55s' });
    const [dead, frozen, ...well] = await world.all_agents(4);
    const lead = await world.run('--drain-timeout', '3s');
    await hold(lead, 100);
    await until('all have reported', async () => (await world.presence(frozen!)).open === 25);
    const pids = [frozen!.swarm.child.pid!, ...(await world.workers_of(frozen!, lead))];
    await world.kill(dead!);
    pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    await world.until_open(75);
    const start = performance.now();
    expect(await lead.ask('stop')).toMatch(/^OK stopping, within 8 s, [0-2] of 4 agents acknowledged/);
    await world.until_open(25);
    const gone_ms = performance.now() - start;
    expect(await lead.swarm.exited).toBe(1);
    const took_ms = performance.now() - start;
    console.log(`measured: the others gone after ${Math.round(gone_ms)} ms, all over after ${Math.round(took_ms)} ms`);
    // the rounds, then 5 s in which nobody ends
    expect(took_ms).toBeLessThan(with_slack(3000 + 5000, took_ms));
    expect(lead.swarm.err).toMatch(/stopped \(2 unconfirmed\)/);
    for (const { id } of [dead!, frozen!]) expect(lead.swarm.err).toMatch(new RegExp(`unconfirmed\\).*${id}`));
    for (const { id } of well) expect(lead.swarm.err).not.toMatch(new RegExp(`unconfirmed\\).*${id}`));
    const summary = read(lead);
    expect(summary).toMatchObject({ balanced: true, complete: false, possibly_open: 50 });
    expect(summary.lost_workers.map(({ worker, may_live }) => [worker, may_live]).sort()).toEqual(
      [dead!.id, frozen!.id].sort().map((id) => [id, true]),
    );
    expect(lead.swarm.out).not.toMatch(/ died /);
    pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
    await world.until_open(0);
  });

  it('with an agent that was written off and not heard since: exit code 1, named, and not called dead', async () => {
    world = await World.open({ isolation: '2s' });
    const [frozen] = await world.all_agents(2);
    const lead = await world.run();
    await hold(lead, 100);
    await until('all have reported', async () => (await world.presence(frozen!)).open === 50);
    const pids = [frozen!.swarm.child.pid!, ...(await world.workers_of(frozen!, lead))];
    pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    await until('the other holds all', () => world.open === 150);
    expect(await lead.ask('stop')).toMatch(/^OK stopping/);
    expect(await lead.swarm.exited).toBe(1);
    const summary = read(lead);
    expect(summary).toMatchObject({ balanced: true, complete: false, possibly_open: 50 });
    expect(summary.lost_workers).toMatchObject([{ worker: frozen!.id, may_live: true }]);
    expect(lead.swarm.err).toMatch(new RegExp(`50 connections are possibly open.*: ${frozen!.id}\\b`));
    expect(lead.swarm.err).not.toMatch(/unconfirmed/);
    expect(lead.swarm.out).toMatch(new RegExp(`agent ${frozen!.id} did not answer`));
    expect(lead.swarm.out).not.toMatch(/ died /);
    pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
    await world.until_open(0);
  });

  it.each(['stop', 'stop now'])(
    'with a worker of an agent that hangs: killed by its agent in time, after a %s',
    async (command) => {
      world = await World.open({});
      const [first] = await world.all_agents(2, 2);
      const lead = await world.run('--drain-timeout', '2s');
      await hold(lead, 40);
      await until('all have reported', async () => (await world.presence(first!)).open === 20);
      const workers = (await lead.status()).workers.filter(({ id }) => id.startsWith(`${first!.id}/`));
      expect(workers.length).toBe(2);
      process.kill(workers[0]!.pid, 'SIGSTOP');
      const asked_at = performance.now();
      const answer = await lead.ask(command);
      const said_s = command === 'stop now' ? 5 : Number(/within ([\d.]+) s/.exec(answer)![1]);
      expect(await lead.swarm.exited).toBe(1);
      const took_ms = performance.now() - asked_at;
      console.log(`measured: ${command} took ${Math.round(took_ms)} ms, said ${said_s} s`);
      expect(took_ms).toBeLessThan(with_slack(said_s * 1000, took_ms));
      const summary = read(lead);
      expect(summary).toMatchObject({ balanced: true, complete: false, possibly_open: 0, clients: { lost: 10 } });
      expect(summary.lost_workers.map(({ worker }) => worker)).toEqual([workers[0]!.id]);
      expect(summary.errors).toMatchObject([{ code: 'worker_stalled', count: 1 }]);
      expect(lead.swarm.err).toMatch(new RegExp(`stopped \\(1 unconfirmed\\).*: ${workers[0]!.id}\\b`));
      await world.ledger.settled();
    },
  );

  it('with `stop now`: nobody finishes a round, and everything is counted', async () => {
    world = await World.open({ script: SLOW_ROUNDS });
    await world.all_agents(2);
    const lead = await world.run();
    await hold(lead, 60);
    const start = performance.now();
    expect(await lead.ask('stop now')).toMatch(/^OK stopping now/);
    expect(await lead.swarm.exited).toBe(0);
    await world.ledger.settled();
    const took_ms = performance.now() - start;
    console.log(`measured: stop now over after ${Math.round(took_ms)} ms`);
    expect(took_ms).toBeLessThan(with_slack(2000, took_ms));
    world.expect_exact(read(lead));
  });

  it('whose leader is killed in the middle: the other finishes it; then the next run begins from zero', async () => {
    world = await World.open({ script: SLOW_ROUNDS });
    await world.all_agents(2);
    const lead = await world.run();
    const other = await world.attach();
    await hold(lead, 60);
    const asked = lead.ask('stop').catch(() => 'no answer');
    await until('the stop is known', async () => (await world.plan()).stage === 'ending');
    await world.kill(lead);
    await asked;
    expect(await other.swarm.exited, other.swarm.err).toBe(0);
    await world.ledger.settled();
    const summary = read(other);
    world.expect_exact(summary);
    expect(summary.connections.closed).toMatchObject({ stop: 60 });

    const { run } = await world.plan();
    const copy = join(world.place.folder, 'copy.json');
    const printed = world.place.swarm('summary', run.id, '--join', world.join, '--summary', copy);
    expect(await printed.exited, printed.err).toBe(0);
    expect(printed.out).toContain(run.id);
    expect(JSON.parse(readFileSync(copy, 'utf8'))).toEqual(summary);
    const unknown = world.place.swarm('summary', 'nobody', '--join', world.join);
    expect(await unknown.exited).not.toBe(0);
    expect(unknown.err).toContain('nobody');

    const before = world.ledger.books();
    const again = await world.run();
    const fresh = await again.status();
    expect(fresh).toMatchObject({ target: 0, requests: { sent: 0 }, connections: { established: 0 } });
    expect(fresh.run.id).not.toBe(run.id);
    await hold(again, 40);
    const second = await world.finish(again);
    const { requests, accepted } = world.ledger.books();
    expect(second).toMatchObject({ balanced: true, complete: true, lost_workers: [] });
    expect(second.requests.sent).toBe(requests - before.requests);
    expect(second.connections.established).toBe(accepted - before.accepted);
  });
});

describe.skipIf(!HAS_NATS)('a run', () => {
  it('does not see another swarm of the same engine', async () => {
    world = await World.open();
    const other = await World.open({ engine: world.join, name: 'other' });
    try {
      await Promise.all([world.all_agents(2), other.all_agents(1)]);
      const [lead, theirs] = await Promise.all([world.run(), other.run()]);
      await hold(lead, 30);
      expect(await theirs.ask('incr 20')).toBe('OK target 20');
      await other.until_open(20);
      expect((await lead.status()).agents!.map(({ id }) => id).sort()).toEqual(world.agents.map(({ id }) => id).sort());
      expect((await theirs.status()).agents!.map(({ id }) => id)).toEqual([other.agents[0]!.id]);
      expect((await other.finish(theirs)).connections.established).toBe(20);
      expect(world.open).toBe(30);
      world.expect_exact(await world.finish(lead));
    } finally {
      await other.close();
    }
  });

  it('refuses who is of another version, naming both', async () => {
    world = await World.open();
    const started = world.place.other_version('9.9.9');
    const [own] = await world.all_agents(1);
    const lead = await world.run();
    const stranger = started('agent', '--join', world.join, '--workers', '1');
    const [, id] = await stranger.said(/^agent (\S+) offers/m);
    const seen = async () => (await lead.status()).agents!.find((agent) => agent.id === id);
    await until('it is refused', async () => (await seen())?.health === 'refused');
    const { why, swarm } = (await seen())!;
    expect(swarm).toBe('9.9.9');
    for (const version of ['9.9.9', VERSION]) expect(why).toContain(version);
    expect(await lead.ask('agents')).toContain(why);
    const late = started('attach', '--join', world.join, '-l', '127.0.0.1:0');
    expect(await late.exited).toBeGreaterThan(0);
    expect(late.err).toMatch(/\(version_skew/);
    for (const version of ['9.9.9', VERSION]) expect(late.err).toContain(version);
    await hold(lead, 20);
    expect((await world.presence(own!)).live).toBe(20);
    world.expect_exact(await world.finish(lead));
  });

  it('that begins paused connects, and acts from `resume` on', async () => {
    world = await World.open();
    await world.all_agents(2);
    const lead = await world.run('--paused');
    await hold(lead, 40);
    await sleep(1500);
    expect(world.ledger.books().requests).toBe(0);
    expect(await lead.ask('resume')).toBe('OK running');
    await world.ledger.until(({ requests }) => requests > 100);
    world.expect_exact(await world.finish(lead));
  });

  it('that lacks agents ends after 30 s and says how many, and who is not ready', async () => {
    world = await World.open();
    await world.all_agents(2);
    const started = performance.now();
    const lead = world.start_run('--min-agents', '3');
    expect(await lead.exited).toBe(1);
    const took_ms = performance.now() - started;
    console.log(`measured: gave up after ${Math.round(took_ms)} ms`);
    expect(took_ms).toBeGreaterThan(29_000);
    expect(took_ms).toBeLessThan(with_slack(30_000, took_ms));
    expect(lead.err).toMatch(/2 of 3 agents are ready/);
    // that was all: these agents play on
    const next = await world.run();
    await hold(next, 10);
    await world.finish(next);
    expect(world.ledger.books().accepted).toBe(10);
  });
});

describe.skipIf(!HAS_NATS)('the module of a run', () => {
  it('is set up and torn down once, shares what that gave; what goes wrong in it is told to the coordinator', async () => {
    const module = `import { line } from 'swarm';
import { appendFileSync } from 'node:fs';
export function setup({ log, seed }) {
  appendFileSync(FILE, \`setup \${process.pid} \${seed}\\n\`);
  log.info('the users are made');
  return { word: 'secret', pid: process.pid };
}
export function teardown({ shared, log }) {
  appendFileSync(FILE, \`teardown \${shared.word} \${shared.pid}\\n\`);
  log.warn('the users are gone');
}
let seen = 0;
export const ping = async (client) => {
  if (seen++ === 0) console.log(\`the first client of process \${process.pid}\`);
  const { memory, shared } = client;
  memory.n = (memory.n ?? 0) + 1;
  await client.send_for_reply(\`ping \${process.pid} \${client.id} 1 \${memory.n} \${shared.word}\\r\\n\`, line());
  if (client.id % 2 === 0 && memory.n > 12) undefined_thing(client);
};
function undefined_thing(client) {
  for (let i = 0; i < 200; i++) console.log('flood');
  try {
    client.nothing.at_all();
  } finally {
    for (let i = 0; i < 200; i++) console.log('flood');
  }
}
`;
    world = await World.open({ module: 'placeholder' });
    const file = join(world.place.folder, 'hooks.txt');
    world.place.write('protocols/many.js', module.replaceAll('FILE', JSON.stringify(file)));
    const agents = await world.all_agents(3);
    const words = new Set<string>();
    const lead = await world.run('--seed', 'abc');
    const pids = new Set<number>();
    world.on_request = (line) => {
      const [, pid, , , , word] = line.split(' ');
      words.add(word!);
      pids.add(Number(pid));
    };
    const start = performance.now();
    await lead.ask('incr 60');
    await until('half of them met the bug', async () => (await lead.status()).clients.states.fatal === 30);
    expect(pids.size).toBe(3);
    expect([...words]).toEqual(['secret']);
    await until('the bug is told', () => agents.every(({ id }) => lead.swarm.err.includes(`${id}/w1`)));
    expect(await lead.ask('stop')).toMatch(/^OK stopping/);
    expect(await lead.swarm.exited, lead.swarm.err).toBe(0);
    const hooks = readFileSync(file, 'utf8').trim().split('\n');
    expect(hooks.length).toBe(2);
    const [, by, seed] = hooks[0]!.split(' ');
    expect(seed).toBe('abc');
    expect(hooks[1]).toBe(`teardown secret ${by}`);
    const log = lead.swarm.err;
    expect(log.split('the users are made').length - 1).toBe(1);
    expect(log.split('the users are gone').length - 1).toBe(1);
    expect(log.split('the first client of process').length - 1).toBe(3);
    // one stack of each worker, however many clients met it
    expect(log.split('TypeError').length - 1).toBe(3);
    expect(log).toMatch(/at undefined_thing \(.*many\.js/);
    // each worker 100 a second at most, of which the newest 50 travel
    const floods = log.split('flood').length - 1;
    console.log(`measured: ${floods} of 12000 lines of a chatty module`);
    expect(floods).toBeLessThan(3 * 50 * (2 + (performance.now() - start) / 1000));
    expect(check_books(read(lead), true)).toEqual([]);
  });
});

describe.skipIf(!HAS_NATS)('a bundle that somebody changed', () => {
  it('or has no signature is run by no agent, and `agents` says why', async () => {
    const place = new Workplace();
    const ledger = await start_ledger();
    const said: string[] = [];
    let engine: SwarmProcess | null = null;
    onTestFailed(() => console.log(said.join('\n')));
    try {
      const dir = join(place.folder, 'engine');
      const mark = join(place.folder, 'executed');
      place.write('protocols/evil.js', `export const ping = () => {};\n`);
      const script = place.write('scripts/evil.yml', 'protocol: evil\nactions:\n  - command: ping\n');
      engine = place.swarm('engine', 'up', '--dir', dir, '--listen', '127.0.0.1:0', '--agents', '4');
      const [, url] = await engine.said(/^engine listening on (nats:\/\/\S+) /m);
      await engine.said(/swarm run/);
      const leader = join(dir, 'leader.json');
      const lead = place.swarm(
        'run',
        '--credentials',
        leader,
        '-l',
        '127.0.0.1:0',
        '-r',
        `127.0.0.1:${ledger.port}`,
        '-s',
        script,
      );
      const session = await lead.console();
      const store = await open_nats_store({ engine: url!, name: 'main', credentials: read_credentials(leader) });
      const header = async (): Promise<SwarmPlan['run']> =>
        (JSON.parse((await store.get('plan'))!.text) as SwarmPlan).run;
      const change = async (run: Partial<SwarmPlan['run']>): Promise<void> => {
        await until('the plan is changed', async () => {
          const entry = (await store.get('plan'))!;
          const plan = JSON.parse(entry.text) as SwarmPlan;
          const text = to_text({ ...plan, revision: plan.revision + 1, run: { ...plan.run, ...run } });
          return (await store.put('plan', text, entry.revision)).outcome === 'done';
        });
      };
      const own = await header();
      const key = `bundle.${own.bundle_sha256}`;
      const good = (await read_parts(store, key))!;
      const bundle = JSON.parse(good) as Bundle;
      const evil = `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(mark)}, '');\nexport const ping = () => {};\n`;
      const what = { ...bundle.run.what, module_sha256: sha256_of(evil) };
      const changed: Bundle = { ...bundle, module_text: evil, run: { ...bundle.run, what } };
      const bad = to_text(changed);
      expect((await session.ask('incr 8'))[0]).toMatch(/^OK target 8/);

      /** Starts an agent; what it says of the run. */
      const refusal = async (n: number): Promise<string> => {
        const agent = place.swarm('agent', '--credentials', join(dir, `agent-0${n}.json`), '--workers', '1');
        await agent.said(/^agent agent-0\d offers/m);
        let why = '';
        await until('it refuses', async () => {
          const summary = JSON.parse((await session.ask('status json')).join('\n').slice(3)) as Summary;
          const seen = summary.agents!.find(({ id }) => id === `agent-0${n}`);
          why = seen?.why ?? '';
          return seen?.health === 'refused';
        });
        expect(agent.err).toContain(why);
        said.push(agent.err);
        return why;
      };
      await write_parts(store, key, bad);
      expect(await refusal(1)).toBe('what is stored is not what its hash says');
      await write_parts(store, key, good);
      await write_parts(store, `bundle.${sha256_of(bad)}`, bad);
      await change({ bundle_sha256: sha256_of(bad) });
      expect(await refusal(2)).toBe('its signature is not that of the key this agent was given');
      await change({ bundle_sha256: own.bundle_sha256, signature: '' });
      expect(await refusal(3)).toBe('its signature is not that of the key this agent was given');
      expect(existsSync(mark)).toBe(false);
      expect(ledger.books().accepted).toBe(0);

      // as it was: an agent that comes now plays
      await change({ signature: own.signature });
      place.swarm('agent', '--credentials', join(dir, 'agent-04.json'), '--workers', '1');
      await ledger.until(({ open }) => open === 8);
      said.push(lead.err);
      session.close();
      await store.close();
    } finally {
      // killed it would leave its nats-server
      engine?.child.kill('SIGTERM');
      await engine?.exited;
      await place.close();
      await ledger.close();
    }
  });
});
