/** The addresses behind the servers' names: resolved at the start, refreshed in the background, not per connection. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { endpoint_text } from '../../foundation/endpoint-text.ts';
import type { EndpointRecorder } from '../../metrics/recorder.ts';
import type { Server } from '../../protocols/module.ts';
import { PortPool } from '../shares/ports.ts';

const REFRESH_MS = 60_000;
/** most addresses used of one name */
const MAX_ADDRESSES = 1000;

/** One address of one server, with what this member knows of it. */
export interface Endpoint {
  /** as node:net takes them; the path of a unix socket comes alone */
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly path: string | undefined;
  readonly tls: boolean;
  /** the server's name as the user gave it: its certificate must be for this name */
  readonly name: string;
  /** index of its server among the servers */
  readonly server: number;
  readonly counts: EndpointRecorder;
  /** local ports that are free towards it */
  readonly pool: PortPool;
  /** the source address the kernel chose for the first connection to it; null before */
  source: string | null;
}

export interface EndpointsOptions {
  readonly servers: readonly Server[];
  /** the addresses connections come from; empty: the kernel chooses */
  readonly sources: readonly string[];
  /** `label`: the endpoint as text */
  readonly counts: (label: string) => EndpointRecorder;
}

/** The addresses of one server. */
interface ServerAddresses {
  /** the addresses that its clients take in turn */
  readonly main: readonly Endpoint[];
  /** of the other family, for clients that found nobody at any of the main ones */
  readonly spare: readonly IpAddress[];
  /** by host: endpoints of spare addresses, each made when the first client needs it */
  readonly made: Map<string, Endpoint>;
}

export class Endpoints {
  readonly #options: EndpointsOptions;
  /** by server */
  #all: readonly ServerAddresses[] = [];
  #timer: NodeJS.Timeout | null = null;

  private constructor(options: EndpointsOptions) {
    this.#options = options;
  }

  /**
   * Rejects with the system's error when a name does not resolve, and with an Error when a server has no address of a
   * family that the sources have. A refresh that fails keeps the known addresses and is tried again.
   */
  static async start(options: EndpointsOptions): Promise<Endpoints> {
    const endpoints = new Endpoints(options);
    await endpoints.#refresh();
    if (options.servers.some(is_name)) {
      endpoints.#timer = setInterval(() => void endpoints.#refresh().catch(() => {}), REFRESH_MS);
      endpoints.#timer.unref();
    }
    return endpoints;
  }

  get all(): readonly Endpoint[] {
    return this.#all.flatMap(({ main }) => main);
  }

  /**
   * Round robin: of n servers each gets every n-th client, and these take its addresses in turn.
   * @param misses how often the client could not connect: each miss moves it to the next address of its server, those
   * of the other family last
   */
  of(client: number, misses = 0): Endpoint {
    const servers = this.#all.length;
    const server = (client - 1) % servers;
    const { main, spare } = this.#all[server]!;
    const first = Math.floor((client - 1) / servers);
    const turn = misses % (main.length + spare.length);
    if (turn < main.length) return main[(first + turn) % main.length]!;
    return this.#spare(server, spare[(first + turn) % spare.length]!);
  }

  /** Whether its server has addresses that the client has not tried since it last began with the first. */
  has_more(client: number, misses: number): boolean {
    const { main, spare } = this.#all[(client - 1) % this.#all.length]!;
    return misses % (main.length + spare.length) !== 0;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #refresh(): Promise<void> {
    const { servers, sources } = this.#options;
    const families = ([4, 6] as const).filter((family) => sources.some((address) => isIP(address) === family));
    const found = await Promise.all(servers.map((server) => addresses_of(server, families)));
    const known = this.#all;
    this.#all = servers.map((server, i) => {
      const { main, spare } = found[i]!;
      const before = known[i];
      const same = (host: string): Endpoint | undefined =>
        before?.main.find((one) => one.host === host) ?? before?.made.get(host);
      const made = spare.flatMap(({ host }) => same(host) ?? []);
      return {
        main: main.map((address) => same(address.host) ?? this.#make(i, server, address)),
        spare,
        made: new Map(made.map((one) => [one.host, one])),
      };
    });
  }

  #spare(place: number, address: IpAddress): Endpoint {
    const { made } = this.#all[place]!;
    let endpoint = made.get(address.host);
    if (endpoint === undefined) {
      endpoint = this.#make(place, this.#options.servers[place]!, address);
      made.set(address.host, endpoint);
    }
    return endpoint;
  }

  #make(place: number, server: Server, { host, family }: IpAddress): Endpoint {
    const { port, path, tls = false } = server;
    const label = endpoint_text(path === undefined ? { ...server, host } : server);
    const counts = this.#options.counts(label);
    return {
      host,
      port,
      family,
      path,
      tls,
      name: server.host,
      server: place,
      counts,
      pool: new PortPool(),
      source: null,
    };
  }
}

const is_name = ({ host, path }: Server): boolean => path === undefined && isIP(host) === 0;

interface IpAddress {
  readonly host: string;
  readonly family: 4 | 6;
}

/**
 * Sorted, so that a name service that rotates its answers moves no client. `main` are of the family that the system
 * prefers (RFC 6724), `spare` of the other one: `localhost` is two addresses, and most servers listen on one.
 * @throws Error when no address is of one of the families; the system's error when the name does not resolve
 */
export async function addresses_of(
  { host, path }: Server,
  families: readonly (4 | 6)[],
): Promise<{ main: IpAddress[]; spare: IpAddress[] }> {
  if (path !== undefined) return { main: [{ host: '', family: 4 }], spare: [] };
  const literal = isIP(host) as 0 | 4 | 6;
  const all =
    literal !== 0
      ? [{ address: host, family: literal }]
      : ((await lookup(host, { all: true })) as { address: string; family: 4 | 6 }[]);
  const fitting = all.filter(({ family }) => families.length === 0 || families.includes(family));
  if (fitting.length === 0) throw new Error(`no address of --bind is IPv${all[0]!.family}, as ${host} is`);
  const of = (preferred: boolean): IpAddress[] =>
    fitting
      .filter(({ family }) => (family === fitting[0]!.family) === preferred)
      .map(({ address, family }) => ({ host: address, family }))
      .sort((a, b) => (a.host < b.host ? -1 : 1))
      .slice(0, MAX_ADDRESSES);
  return { main: of(true), spare: of(false) };
}
