/** tsung (Debian: tsung) with raw TCP as a peer: all users in one Erlang VM of as many schedulers as there are cores. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { children_of, free_port, rss_bytes_of, scoped, start, temporary_folder } from './processes.mjs';
import { WARM_UP_MS, connected, window_of } from './sides.mjs';

/** Users per second. */
const ARRIVALS = 500;
/** tsung's own pause before the first user; its VM is idle then. */
const WARM_UP_S = 3;
/** It reads &#13;&#10; as one CR, so its lines end with LF alone. */
const REQUEST = 'heartbeat.&#10;';

/** Each user asks, waits for the answer, sleeps, for longer than anybody waits. */
const config = (port, connections, sleep_s) => `<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning">
  <clients><client host="127.0.0.1" use_controller_vm="true" maxusers="${2 * connections}"/></clients>
  <servers><server host="127.0.0.1" port="${port}" type="tcp"/></servers>
  <load>
    <arrivalphase phase="1" duration="24" unit="hour">
      <users maxnumber="${connections}" arrivalrate="${ARRIVALS}" unit="second"/>
    </arrivalphase>
  </load>
  <sessions>
    <session name="loop" probability="100" type="ts_raw">
      <for var="round" from="1" to="1000000000">
        <request><raw data="${REQUEST}" ack="local"/></request>
        ${sleep_s ? `<thinktime min="${sleep_s[0]}" max="${sleep_s[1]}" random="true"/>` : ''}
      </for>
    </session>
  </sessions>
</tsung>
`;

/**
 * @param {{ server: import('./servers.mjs').Server, connections: number, seconds: number, sleep_s?: [number, number] }} options  sleep_s:
 *   between answer and next request, default none
 * @returns {Promise<{ cpu_us: number, per_cpu_s: number, per_s: number, rss_kb: number }>} of its VM; rss_kb per connection, over the idle VM
 */
export function tsung({ server, connections, seconds, sleep_s }) {
  return scoped(async (keep) => {
    const folder = temporary_folder();
    const file = join(folder, 'tsung.xml');
    writeFileSync(file, config(server.port, connections, sleep_s));
    mkdirSync(join(folder, 'log'));
    const port = await free_port();
    // otherwise the VM starts one for all of the machine, which outlives it
    await keep(start('epmd', ['-address', '127.0.0.1', '-port', String(port)], { lines: false }));
    const env = {
      HOME: folder,
      ERL_EPMD_PORT: String(port),
      ERL_FLAGS: '-kernel inet_dist_use_interface {127,0,0,1}', // its cookie is no secret
    };
    const args = ['-n', '-I', '127.0.0.1', '-w', String(WARM_UP_S), '-f', file, '-l', join(folder, 'log'), 'start'];
    const shell = await keep(start('tsung', args, { lines: false, env, group: true }));

    await sleep((WARM_UP_S - 1) * 1000);
    const [vm] = shell.died() === undefined ? children_of(shell.pid) : [];
    if (vm === undefined) throw new Error(shell.died() ?? 'tsung started no Erlang VM');
    const idle = rss_bytes_of(vm);
    await connected({ server, connections, child: shell, within_ms: (connections / ARRIVALS) * 2000 + 20_000 });
    await sleep(WARM_UP_MS);
    const figures = await window_of({ pid: vm, server, seconds });
    return { ...figures, rss_kb: (rss_bytes_of(vm) - idle) / connections / 1024 };
  });
}
