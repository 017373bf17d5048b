/** The servers both sides of a bench talk to. Each counts what it answered: outside of whoever is measured, exact at the instant it is asked. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from '../build.mjs';
import { free_port, open_files_of, start, temporary_folder } from './processes.mjs';

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {() => Promise<number>} answered  messages since it started
 * @property {() => number} clients  connections it has now
 * @property {() => Promise<void>} end
 *
 * @returns {Promise<Server>} the C echo server
 */
export async function start_echo() {
  return await counting(start(reference('echo_server'), []));
}

/** @returns {Promise<Server>} a server whose answers take a known time: `delay_us`, and with a stall nothing in the first ms of each period */
export async function start_delay(delay_us, stall_ms = 0, period_ms = 0) {
  const stall = period_ms > 0 ? [stall_ms, period_ms] : [];
  return await counting(start(reference('delay_server'), [delay_us, ...stall].map(String)));
}

/** One of our own C servers, that says its port first, and on SIGUSR1 how much it has answered. */
const counting = async (child) => ({
  port: Number(await child.line()),
  answered: async () => {
    child.signal('SIGUSR1');
    return Number(await child.line());
  },
  clients: clients_of(child.pid),
  end: child.end,
});

/** @returns {Promise<Server>} a redis-server that keeps nothing; `answered` counts PINGs */
export async function start_redis() {
  const port = await free_port();
  const options = {
    '--bind': '127.0.0.1',
    '--port': String(port),
    '--dir': temporary_folder(),
    '--save': '',
    '--appendonly': 'no',
  };
  const child = start('redis-server', Object.entries(options).flat(), { lines: false });
  const info = async (section, field) => {
    const text = execFileSync('redis-cli', ['-p', String(port), 'info', section], { encoding: 'utf8', stdio: 'pipe' });
    return Number(field.exec(text)?.[1] ?? 0);
  };
  await ready(child, () => info('server', /tcp_port:(\d+)/));
  return {
    port,
    answered: () => info('commandstats', /cmdstat_ping:calls=(\d+)/),
    clients: clients_of(child.pid),
    end: child.end,
  };
}

/** One process, one event loop, a reply of 13 bytes that no file is read for, connections kept for as long as anybody wants. */
const nginx_conf = (port, folder) => `
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type text/plain;
    location / { return 200 "hello, world\\n"; }
  }
  server {
    listen unix:${folder}/status;
    location / { stub_status; }
  }
}
`;

/** @returns {Promise<Server>} nginx, one worker; `answered` counts requests */
export async function start_nginx() {
  const port = await free_port();
  const folder = temporary_folder();
  writeFileSync(join(folder, 'nginx.conf'), nginx_conf(port, folder));
  const child = start('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { lines: false });
  let asked = 0;
  const answered = async () => {
    const status = await text_of({ socketPath: join(folder, 'status'), agent: false });
    asked++; // the question is one of the requests it counts
    return Number(/^ *\d+ \d+ (\d+)/m.exec(status)[1]) - asked;
  };
  await ready(child, answered);
  return { port, answered, clients: clients_of(child.pid), end: child.end };
}

function text_of(options) {
  return new Promise((resolve, reject) => {
    get(options, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (more) => (text += more));
      reply.on('end', () => resolve(text)).on('error', reject);
    }).on('error', reject);
  });
}

/** Waits until a server that was just started answers `question`, 10 s at most. */
async function ready(child, question) {
  for (const deadline = Date.now() + 10_000; ; await sleep(50)) {
    try {
      return await question();
    } catch (error) {
      if (child.died() === undefined && Date.now() < deadline) continue;
      await child.end();
      throw new Error(`no server to bench with: ${child.died() ?? error.message}`);
    }
  }
}

/** Counts connections by descriptors: what the server has open over what it had without a client. */
function clients_of(pid) {
  const idle = open_files_of(pid);
  return () => open_files_of(pid) - idle;
}
