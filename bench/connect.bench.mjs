import { cpu_s_of_all, pids_of, settled, start_holder } from './lib/hold.mjs';
import { scoped, start } from './lib/processes.mjs';
import { reference } from './build.mjs';
import { start_swarm } from './lib/swarm.mjs';

const STEP = 10_000;
const STEPS = 6;
const ALL = STEP * STEPS;
/** 15 000 connections each: 20 000 open files suffice. */
const WORKERS = 4;

/**
 * Addresses nobody else connects from: `bind` refuses a port as long as another program's connection from the same address has it or waits
 * in TIME_WAIT, unless that program reuses addresses too, and of 64 512 ports nearly all are needed.
 */
const SOURCES = { c_client: '127.0.0.2', swarm: '127.0.0.3' };

const steps = Array.from({ length: STEPS }, (_, i) => i);

export const bench = {
  about: `${ALL} connections from one address to one port, ${STEP} after the other, nothing sent; CPU of the ${WORKERS} workers; reference: C, ports chosen in turn`,
  seconds: 0, // as long as it takes
  server: async () => ({ end: async () => {} }), // each side has one of its own
  measures: [
    ...steps.map((i) => ({
      key: `us_${i}`,
      title: `CPU per connection, µs: ${(i * STEP) / 1000}–${((i + 1) * STEP) / 1000} thousand open`,
      ...(i > 1 && { goal: { of: 'value', at_most: 80 } }), // in the first two V8 still compiles: a third of the second's CPU time (perf record)
    })),
    { key: 'growth', title: 'last step to second', goal: { of: 'value', at_most: 1.3 } },
    {
      key: 'per_cpu_s',
      title: 'connections per CPU second, after the first step',
      better: 'higher',
      goal: { of: 'value', at_least: 10_000 },
    },
    { key: 'per_s', title: 'connections per second, after the first step' },
  ],
  reference: { name: 'C connect client', run: () => on_new_server(c_client) },
  subject: () => on_new_server(swarm),
};

const on_new_server = (side) =>
  scoped(async (keep) => {
    const server = await keep(start_holder(ALL, { shared: true }));
    const done = await side(keep, server.ports[0]);
    await settled(10, async () => (await server.totals()).open === ALL, `${ALL} connections open at the server`);
    const { accepted, errors } = await server.totals();
    if (accepted !== ALL || errors !== 0) throw new Error(`the server accepted ${accepted} and saw ${errors} errors`);
    await server.end(); // it closes, not the client: no port of the client's stays behind in TIME_WAIT, where no connect() could have it
    return figures_of(done);
  });

/** Pure. @param {readonly { cpu_s: number, wall_s: number }[]} done  one a step */
function figures_of(done) {
  const [, ...compiled] = done;
  const sum = (key) => compiled.reduce((all, step) => all + step[key], 0);
  return {
    ...Object.fromEntries(done.map(({ cpu_s }, i) => [`us_${i}`, (cpu_s / STEP) * 1e6])),
    growth: done.at(-1).cpu_s / compiled[0].cpu_s,
    per_cpu_s: (STEP * compiled.length) / sum('cpu_s'),
    per_s: (STEP * compiled.length) / sum('wall_s'),
  };
}

async function c_client(keep, port) {
  const child = await keep(
    start(reference('connect_client'), [SOURCES.c_client, '127.0.0.1', port, STEP, STEPS].map(String)),
  );
  const done = [];
  for (const _ of steps) {
    const [, cpu_s, wall_s] = (await child.line(60_000)).split(' ').map(Number);
    done.push({ cpu_s, wall_s });
  }
  return done;
}

async function swarm(keep, port) {
  const options = ['--bind', SOURCES.swarm, '--workers', String(WORKERS), '--connect-timeout', '30s'];
  const daemon = await keep(start_swarm({ server_port: port, script: 'connect', connect_per_s: 100_000, options }));
  const workers = (await pids_of(daemon)).filter((pid) => pid !== daemon.pid);
  const done = [];
  for (const _ of steps) {
    const before = { cpu_s: cpu_s_of_all(workers), ms: performance.now() };
    await daemon.hold(STEP, 60);
    done.push({ cpu_s: cpu_s_of_all(workers) - before.cpu_s, wall_s: (performance.now() - before.ms) / 1000 });
  }
  const { connections } = await daemon.summary();
  if (connections.established !== ALL || connections.attempted !== ALL)
    throw new Error(
      `${connections.attempted} attempts, ${connections.established} established, failed ${JSON.stringify(connections.failed)}`,
    );
  return done;
}
