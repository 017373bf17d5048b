/** A real nats-server for one test file, on a free port of loopback, in a folder that goes with it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const HAS_NATS = spawnSync('nats-server', ['--version']).error === undefined;
if (!HAS_NATS) console.warn('nats-server is not installed (apt install nats-server): its tests are skipped');

export async function free_port(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

export class NatsServer {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarm-nats-'));
  port = 0;
  readonly #host: string;
  #child: ChildProcess | null = null;

  /** of this machine; 0.0.0.0 is all it has */
  constructor(host = '127.0.0.1') {
    this.#host = host;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** `more` is appended to the configuration. Starts on the same port as before. */
  async start(more = ''): Promise<void> {
    this.port ||= await free_port();
    const config = join(this.dir, 'nats.conf');
    writeFileSync(
      config,
      `listen: "${this.#host}:${this.port}"\njetstream { store_dir: "${this.dir}/store" }\n${more}`,
    );
    await this.start_with(config);
  }

  /** With a configuration that says to listen on `port`. */
  async start_with(config: string): Promise<void> {
    this.#child = spawn('nats-server', ['-c', config], { stdio: 'ignore' });
    for (let i = 0; !(await this.#answers()); i++) {
      if (i === 100) throw new Error('nats-server does not answer');
      await sleep(50);
    }
  }

  /** SIGSTOP; resolves when each of its threads stands still. */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP');
    const tasks = `/proc/${this.#child!.pid}/task`;
    const is_still = (task: string): boolean => / T /.test(readFileSync(join(tasks, task, 'stat'), 'latin1'));
    while (!readdirSync(tasks).every(is_still)) await sleep(1);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Its memory goes. */
  wipe(): void {
    rmSync(join(this.dir, 'store'), { recursive: true, force: true });
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.once('data', () => (socket.destroy(), resolve(true)));
      socket.once('error', () => resolve(false));
    });
  }
}
