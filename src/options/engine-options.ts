/** The options of `swarm engine up`. */
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { SwarmError } from '../foundation/errors.ts';
import type { Server } from '../protocols/module.ts';
import { integer, is_name, OPTIONS } from './options.ts';

export interface EngineOptions {
  readonly dir: string;
  readonly listen: Server;
  readonly agents: number;
  /** names and addresses by which others reach it */
  readonly hosts: readonly string[];
}

const LISTEN = '127.0.0.1:4222';
const AGENTS = '16';
const MAX_AGENTS = 1000;

export const ENGINE_FLAGS: readonly Option[] = [
  new Option('-l, --listen <ip:port>', 'where it listens; port 0 = any free one; beyond loopback with TLS').default(
    LISTEN,
  ),
  new Option('--agents <n>', 'how many agents get an identity: agent-01, agent-02, …').default(AGENTS),
  new Option(
    '--host <name>',
    'a name or address by which others reach this machine, for the certificate; the first is in the credentials; may be given several times',
  ).argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]),
  new Option(
    '--dir <folder>',
    'where its configuration, keys and memory are (default: engine in $SWARM_HOME, else ~/.swarm/engine)',
  ),
];

/** @throws SwarmError bad_option */
export function engine_options(given: {
  readonly listen?: string | undefined;
  readonly agents?: string | undefined;
  readonly host?: readonly string[] | undefined;
  readonly dir?: string | undefined;
}): EngineOptions {
  const { listen: at = LISTEN, agents: number = AGENTS, host: hosts = [] } = given;
  const listen = OPTIONS.listen.parse(at) ?? wrong('--listen', at, OPTIONS.listen.shape);
  const agents = integer(number, 1, MAX_AGENTS) ?? wrong('--agents', number, `a whole number from 1 to ${MAX_AGENTS}`);
  for (const host of hosts) if (isIP(host) === 0 && !is_name(host)) wrong('--host', host, 'a host name or an address');
  if (/^(0\.0\.0\.0|[0:]+)$/.test(listen.host) && hosts.length === 0) {
    const reason = `${listen.host} is no address that others could join: name this machine as they reach it`;
    throw new SwarmError('bad_option', { option: '--host', reason });
  }
  const dir = resolve(given.dir ?? join(process.env.SWARM_HOME || join(homedir(), '.swarm'), 'engine'));
  return { dir, listen, agents, hosts };
}

function wrong(option: string, text: string, shape: string): never {
  throw new SwarmError('bad_option', { option, reason: `${JSON.stringify(text)} is not ${shape}` });
}
