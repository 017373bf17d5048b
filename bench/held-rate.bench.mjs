import { setTimeout as sleep } from 'node:timers/promises';
import { cpu_s_of_all, pids_of, PER_SERVER, rss_bytes_of_all, settled, start_holder } from './lib/hold.mjs';
import { scoped } from './lib/processes.mjs';
import { missing, room } from './lib/room.mjs';
import { WARM_UP_MS } from './lib/sides.mjs';
import { start_swarm } from './lib/swarm.mjs';

const CONNECT_PER_S = 6000;
/** messages per second over so many connections; null: as many as `--connections` says */
const STAGES = [
  { connections: null, per_s: 20_000 },
  { connections: 1000, per_s: 20_000 },
  { connections: 1000, per_s: 50_000 },
];

export const bench = {
  about: 'messages at a rate over held connections; --connections (default 100000), and over 1000',
  only_by_name: true,
  seconds: 20,
  report: async ({ seconds, connections = 100_000, say }) => {
    const wanted = { connections, client_bytes: connections * 9000 + 200e6, per_process: PER_SERVER + 300 };
    const lacks = missing(wanted, room());
    if (lacks.length > 0) throw new Error([`no room for ${connections} connections here`, ...lacks].join('\n  '));
    say(
      '| connections | a second | answered a second | dropped | late p50, p90, p99, ms | response p50, p99, ms | cores | RSS, MB | saturated, s |',
    );
    say('|---|---|---|---|---|---|---|---|---|');
    for (const stage of STAGES)
      say(await row({ per_s: stage.per_s, connections: stage.connections ?? connections, seconds }));
  },
};

const row = ({ connections, per_s, seconds }) =>
  scoped(async (keep) => {
    const server = await keep(start_holder(connections));
    const options = ['--workers', 'auto', '--connect-timeout', '30s'];
    const swarm = await keep(
      start_swarm({ server_port: server.ports, script: 'held-rate', connect_per_s: CONNECT_PER_S, options }),
    );
    await swarm.hold(connections, Math.ceil((connections / CONNECT_PER_S) * 3) + 60);
    await swarm.ask(`rate heartbeat ${per_s}/s`);
    await sleep(WARM_UP_MS);
    const pids = await pids_of(swarm);
    await swarm.ask('mark');
    const { saturated_seconds: saturated_before = 0 } = await swarm.summary();
    const before = { answered: await server.answered(), cpu_s: cpu_s_of_all(pids), ms: performance.now() };
    await sleep(seconds * 1000);
    const passed_s = (performance.now() - before.ms) / 1000;
    const answered_per_s = ((await server.answered()) - before.answered) / passed_s;
    const cores = (cpu_s_of_all(pids) - before.cpu_s) / passed_s;
    const rss_mb = rss_bytes_of_all(pids) / 1e6;
    const { mark, saturated_seconds = 0 } = await swarm.summary();
    const [{ slots, response_ms }] = mark.actions;
    const final = await swarm.stop();
    await settled(30, async () => (await server.totals()).open === 0, 'all closed at the server');
    const { answered } = await server.totals();
    if (!final.balanced || final.requests.ok !== answered)
      throw new Error(`the books differ: swarm says ${final.requests.ok} answers, the server ${answered}`);
    const dropped = Object.values(slots.dropped).reduce((all, count) => all + count, 0);
    const late = [slots.late_ms.p50, slots.late_ms.p90, slots.late_ms.p99].map((ms) => ms.toFixed(2));
    const response = [response_ms.p50, response_ms.p99].map((ms) => ms.toFixed(2));
    const cells = [connections, per_s, Math.round(answered_per_s), dropped, late.join(', '), response.join(', ')];
    return `| ${[...cells, cores.toFixed(2), rss_mb.toFixed(0), saturated_seconds - saturated_before].join(' | ')} |`;
  });
