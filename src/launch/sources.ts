/** Where connections come from and go to: `--bind`, the addresses behind `--server`, ports that swarm must not use. */
import { randomInt } from 'node:crypto';
import { createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { is_host, list_span, parse_span, size_of, type Span } from '../foundation/addresses.ts';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { listening_ports, read_machine } from '../foundation/machine.ts';
import type { OptionsWith } from '../options/options.ts';
import type { Server } from '../protocols/module.ts';
import { addresses_of } from '../swarm/client/endpoints.ts';
import type { Sources } from '../swarm/plan/run-spec.ts';

/** RFC 6335, section 6: for systems that do not tell their range */
const DYNAMIC_PORTS = [49_152, 65_535] as const;
const MAX_OFFSET = 2 ** 31;
const MAX_ADDRESSES = 4096;
/** addresses checked at once */
const AT_ONCE = 16;
/** most addresses named in one fault */
const MAX_NAMED = 8;

/** The interfaces of this machine as node:os tells them; tests pass others. */
export type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * Of an interface it takes only addresses of a family that some server has; addresses given otherwise must all be of
 * such a family.
 * @throws SwarmError `bad_bind`: what --bind names is no address of this machine, is too much, or fits no server;
 * `name_unknown`
 */
export async function find_sources({ bind, server, listen }: OptionsWith<'server'>): Promise<Sources> {
  const named = bind === null ? [] : expand_bind(bind);
  await check_here(named.map(({ address }) => address));
  const addresses = server.length === 0 ? named.map(({ address }) => address) : await fitting(named, server);
  const ports = [...server.map(({ port }) => port), listen.port, ...listening_ports()];
  const kernel_ports = read_machine().port_range ?? DYNAMIC_PORTS;
  return { addresses, excluded_ports: [...new Set(ports)], kernel_ports, offset: randomInt(MAX_OFFSET) };
}

async function fitting(named: readonly Named[], servers: readonly Server[]): Promise<string[]> {
  if (named.length === 0) return [];
  const all = named.map(({ address }) => address);
  const reached = new Set((await find_endpoints(servers, all)).flat());
  const fits = ({ address }: Named): boolean => reached.has(isIP(address) as 4 | 6);
  const useful = new Set(named.filter(fits).map(({ text }) => text));
  const useless = named.find((one) => !fits(one) && !(one.by_interface && useful.has(one.text)));
  if (useless) throw bad_bind(useless.address, `no server is reached by IPv${isIP(useless.address)}`);
  return named.filter(fits).map(({ address }) => address);
}

/**
 * The family of each address of each server; null for a unix socket.
 * @throws SwarmError `bad_bind` when no address is of a server's family; `name_unknown`
 */
export async function find_endpoints(
  servers: readonly Server[],
  addresses: readonly string[],
): Promise<(4 | 6 | null)[][]> {
  const families = [...new Set(addresses.map((address) => isIP(address) as 4 | 6))];
  return await Promise.all(servers.map((server) => families_of(server, families)));
}

async function families_of(server: Server, bound: readonly (4 | 6)[]): Promise<(4 | 6 | null)[]> {
  try {
    const { main } = await addresses_of(server, bound);
    return main.map(({ family }) => (server.path === undefined ? family : null));
  } catch (error) {
    const is_unknown = (error as NodeJS.ErrnoException).syscall === 'getaddrinfo';
    if (is_unknown) throw new SwarmError('name_unknown', { host: server.host, reason: reason_of(error) }, error);
    throw new SwarmError('bad_bind', { reason: reason_of(error) }, error);
  }
}

/** An address and the text of --bind that named it. */
interface Named {
  readonly address: string;
  readonly text: string;
  readonly by_interface: boolean;
}

/**
 * All addresses that the texts of --bind name, each once. Does not check that they are of this machine.
 * @throws SwarmError `bad_bind`
 */
export function expand_bind(texts: readonly string[], interfaces: Interfaces = networkInterfaces()): Named[] {
  const all = new Map<string, Named>();
  for (const text of texts) {
    const span = parse_span(text);
    for (const address of span ? addresses_of_span(text, span) : addresses_of_interface(text, interfaces)) {
      if (!all.has(address)) all.set(address, { address, text, by_interface: span === null });
    }
    if (all.size > MAX_ADDRESSES) throw too_many(text, 'more than that with those before it');
  }
  return [...all.values()];
}

function addresses_of_span(text: string, span: Span): string[] {
  const size = size_of(span);
  if (size < 1n) throw bad_bind(text, 'the range ends before it begins');
  if (size > MAX_ADDRESSES) throw too_many(text, `${size}`);
  const addresses = list_span(span);
  const unfit = addresses.find((address) => !is_host(address));
  if (unfit !== undefined) throw bad_bind(text, `no connection can come from ${unfit}`);
  return addresses;
}

/** Leaves out link-local addresses: they need the interface's name at each use. */
function addresses_of_interface(text: string, interfaces: Interfaces): string[] {
  const found = interfaces[text];
  const known = Object.keys(interfaces).join(', ');
  if (!found)
    throw bad_bind(text, `it is neither an address, a range, a net nor an interface with addresses (${known})`);
  const addresses = found.map(({ address }) => address).filter((address) => !/^fe[89ab]/i.test(address));
  if (addresses.length === 0) throw bad_bind(text, 'the interface has link-local addresses only');
  return addresses;
}

const bad_bind = (what: string, reason: string): SwarmError =>
  new SwarmError('bad_bind', { reason: `${what}: ${reason}` });
const too_many = (text: string, size: string): SwarmError =>
  bad_bind(text, `at most ${MAX_ADDRESSES} addresses in all, it has ${size}`);

/** Binds each address for a moment: some can be bound that no interface lists, such as 127.0.0.2. */
async function check_here(addresses: readonly string[]): Promise<void> {
  const failed: string[] = [];
  const rest = [...addresses].reverse();
  const check = async (): Promise<void> => {
    for (let address = rest.pop(); address !== undefined; address = rest.pop()) {
      const code = await bind_error(address);
      if (code !== null) failed.push(`${address} (${code})`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, check));
  if (failed.length === 0) return;
  const own = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
  throw new SwarmError('bad_bind', {
    reason: `cannot bind ${some_of(failed)}: this machine has ${some_of(own)}`,
  });
}

function bind_error(host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    // no port was free, but the kernel checks the address first, so that is good
    server.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRINUSE' ? null : (code ?? message)),
    );
    server.listen({ host, port: 0, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

function some_of(all: readonly string[]): string {
  const shown = all.slice(0, MAX_NAMED).join(', ');
  return all.length > MAX_NAMED ? `${shown} and ${all.length - MAX_NAMED} more` : shown;
}
