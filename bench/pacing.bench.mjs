import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from './build.mjs';
import { cpu_s_of, scoped, start } from './lib/processes.mjs';
import { start_echo } from './lib/servers.mjs';
import { WARM_UP_MS } from './lib/sides.mjs';
import { start_swarm } from './lib/swarm.mjs';

const CONNECTIONS = 1000;
const PER_S = 20_000;

export const bench = {
  about: `${PER_S} messages a second over ${CONNECTIONS} held connections to the C echo server; how late each is sent, and the answer counted from its instant`,
  seconds: 5,
  server: start_echo,
  measures: [
    { key: 'late_p50_ms', title: 'sent late, p50, ms', better: 'lower' },
    { key: 'late_p90_ms', title: 'sent late, p90, ms', better: 'lower' },
    { key: 'late_p99_ms', title: 'sent late, p99, ms', better: 'lower' },
    { key: 'response_p50_ms', title: 'response, p50, ms', better: 'lower' },
    { key: 'response_p99_ms', title: 'response, p99, ms', better: 'lower' },
    { key: 'cpu_us', title: 'CPU per message, µs', better: 'lower' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'a C sender that spins on the clock',
    run: ({ server, seconds }) =>
      scoped(async (keep) => {
        const args = ['127.0.0.1', server.port, CONNECTIONS, PER_S, seconds].map(String);
        const child = await keep(start(reference('rate_sender'), args));
        const { answered, cpu_s, wall_s, late_us, took_us } = JSON.parse(await child.line((seconds + 60) * 1000));
        const [late_p50_ms, late_p90_ms, late_p99_ms] = late_us.map((us) => us / 1000);
        return {
          late_p50_ms,
          late_p90_ms,
          late_p99_ms,
          response_p50_ms: took_us[0] / 1000,
          response_p99_ms: took_us[2] / 1000,
          cpu_us: (cpu_s / answered) * 1e6,
          per_s: answered / wall_s,
        };
      }),
  },
  subject: ({ server, seconds }) =>
    scoped(async (keep) => {
      const swarm = await keep(start_swarm({ server_port: server.port, script: 'pacing', connect_per_s: 2000 }));
      await swarm.hold(CONNECTIONS, 30);
      await swarm.ask(`rate ping ${PER_S}/s`);
      await sleep(WARM_UP_MS);
      await swarm.ask('mark');
      const before = { answered: await server.answered(), cpu_s: cpu_s_of(swarm.pid), ms: performance.now() };
      await sleep(seconds * 1000);
      const answered = (await server.answered()) - before.answered;
      const cpu_s = cpu_s_of(swarm.pid) - before.cpu_s;
      const per_s = (answered / (performance.now() - before.ms)) * 1000;
      const [{ response_ms, slots }] = (await swarm.summary()).mark.actions;
      const { late_ms } = slots;
      const { balanced } = await swarm.stop();
      if (!balanced) throw new Error('the books do not balance');
      return {
        late_p50_ms: late_ms.p50,
        late_p90_ms: late_ms.p90,
        late_p99_ms: late_ms.p99,
        response_p50_ms: response_ms.p50,
        response_p99_ms: response_ms.p99,
        cpu_us: (cpu_s / answered) * 1e6,
        per_s,
      };
    }),
};
