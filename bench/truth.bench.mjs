import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from './build.mjs';
import { scoped, start } from './lib/processes.mjs';
import { start_delay } from './lib/servers.mjs';
import { WARM_UP_MS } from './lib/sides.mjs';
import { start_swarm } from './lib/swarm.mjs';

const DELAYS_US = [200, 1000, 5000, 50_000];
const PER_S = 1000;
const CONNECTIONS = 500;
const STALL_MS = 1000;
const PERIOD_MS = 10_000;
/** so few that a stall keeps all of them, and a loop would send nothing more */
const BUSY_CONNECTIONS = 5;
const BUSY_PER_S = 100;
/** Each slot in a stall waits for its end, evenly from the whole stall to nothing: a tenth of all, so that the hundredth longest is at 0.9. */
const STALLED_P99_MS = 0.9 * STALL_MS;

export const bench = {
  about: 'what is said about servers whose answers take a known time, and about one that stalls',
  seconds: 10,
  report: async ({ seconds, say }) => {
    say(
      `| answers after | C sender p50, p99, ms | swarm response p50, p99, ms | swarm service p50, p99, ms |\n|---|---|---|---|`,
    );
    for (const delay_us of DELAYS_US) {
      const [sender, swarm] = await scoped(async (keep) => {
        const server = await keep(start_delay(delay_us));
        return [await by_sender(server, seconds), await by_swarm(server, CONNECTIONS, PER_S, seconds)];
      });
      const { response, service } = swarm;
      say(
        `| ${delay_us / 1000} ms | ${pair(sender.p50, sender.p99)} | ${pair(response.p50, response.p99)} | ${pair(service.p50, service.p99)} |`,
      );
    }
    const { response, service } = await scoped(async (keep) => {
      const server = await keep(start_delay(100, STALL_MS, PERIOD_MS));
      // whole periods, so that it does not matter where the first of them begins
      return await by_swarm(server, BUSY_CONNECTIONS, BUSY_PER_S, (3 * PERIOD_MS) / 1000);
    });
    say(
      `\nstalls ${STALL_MS} ms in every ${PERIOD_MS} ms, ${BUSY_PER_S} messages a second over ${BUSY_CONNECTIONS} connections: response p99 ` +
        `${response.p99.toFixed(1)} ms (on paper ${STALLED_P99_MS}: ${((response.p99 / STALLED_P99_MS - 1) * 100).toFixed(1)} %), service p99 ${service.p99.toFixed(1)} ms`,
    );
  },
};

const pair = (...ms) => ms.map((one) => one.toFixed(2)).join(', ');

const by_sender = (server, seconds) =>
  scoped(async (keep) => {
    const args = ['127.0.0.1', server.port, CONNECTIONS, PER_S, seconds].map(String);
    const child = await keep(start(reference('rate_sender'), args));
    const [p50, , p99] = JSON.parse(await child.line((seconds + 60) * 1000)).took_us.map((us) => us / 1000);
    return { p50, p99 };
  });

const by_swarm = (server, connections, per_s, seconds) =>
  scoped(async (keep) => {
    const swarm = await keep(start_swarm({ server_port: server.port, script: 'pacing', connect_per_s: 2000 }));
    await swarm.hold(connections, 30);
    await swarm.ask(`rate ping ${per_s}/s`);
    await sleep(WARM_UP_MS);
    await swarm.ask('mark');
    await sleep(seconds * 1000);
    const [{ response_ms: response, service_ms: service }] = (await swarm.summary()).mark.actions;
    await swarm.stop();
    return { response, service };
  });
