/** A network for a test: each machine of it is a namespace of this kernel at a bridge, and may be cut off. Needs root, iproute2 and nftables. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const has = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/${command}`));
const MISSING = [...(process.getuid?.() === 0 ? [] : ['root']), ...['ip', 'nft'].filter((command) => !has(command))];

/** Why there can be no networks here; null: there can. */
export const NO_NETWORKS = MISSING.length > 0 ? `without ${MISSING.join(', ')} (apt install iproute2 nftables)` : null;
if (NO_NETWORKS !== null) console.warn(`${NO_NETWORKS}: tests of networks that part are skipped`);

/** in: what comes from there does not arrive; out: what is sent there does not. */
export type Cut = 'in' | 'out' | 'both';

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const ip = (text: string): string => run('ip', ...text.split(' '));

let made = 0;

export class Networks {
  /** never one that was used before: the kernel takes a namespace apart some time after it was removed */
  readonly #name = `sw${process.pid.toString(36)}.${++made}`;
  readonly #net = `10.213.${process.pid % 250}`;
  readonly #spaces: string[] = [];

  constructor() {
    ip(`link add ${this.#name} type bridge`);
    ip(`addr add ${this.address}/24 dev ${this.#name}`);
    ip(`link set ${this.#name} up`);
  }

  /** of this machine, where all others reach it */
  get address(): string {
    return `${this.#net}.1`;
  }

  /** Another machine; resolves with the command that runs a command there. */
  machine(): { readonly space: string; readonly through: string[] } {
    const n = this.#spaces.length + 2;
    const space = `${this.#name}-${n}`;
    ip(`netns add ${space}`);
    this.#spaces.push(space);
    ip(`link add ${space}h type veth peer name eth0 netns ${space}`);
    ip(`link set ${space}h master ${this.#name} up`);
    ip(`-n ${space} link set lo up`);
    ip(`-n ${space} addr add ${this.#net}.${n}/24 dev eth0`);
    ip(`-n ${space} link set eth0 up`);
    return { space, through: ['ip', 'netns', 'exec', space] };
  }

  /** Between that machine and a port of this one packets are lost from now on. */
  cut(space: string, port: number, cut: Cut): void {
    const input = `chain i { type filter hook input priority 0; tcp sport ${port} drop; }`;
    const output = `chain o { type filter hook output priority 0; tcp dport ${port} drop; }`;
    const chains = [...(cut === 'out' ? [] : [input]), ...(cut === 'in' ? [] : [output])];
    run('ip', 'netns', 'exec', space, 'nft', `table inet cut {\n${chains.join('\n')}\n}`);
  }

  heal(space: string): void {
    ip(`netns exec ${space} nft delete table inet cut`);
  }

  /** Once no process is left in it. */
  remove(): void {
    for (const space of this.#spaces) ip(`netns del ${space}`);
    ip(`link del ${this.#name}`);
  }
}
