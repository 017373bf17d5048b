/** Every option of the command line: one table for the flags, the environment, the help and the checks. Pure. */
import { isIP } from 'node:net';
import { parse_duration, parse_span, UNITS_TEXT } from '../foundation/duration.ts';
import { SwarmError } from '../foundation/errors.ts';
import { LOG_LEVELS } from '../foundation/log.ts';
import { MAX_WORKERS } from '../foundation/open-files.ts';
import { parse_rate } from '../foundation/rate.ts';
import type { Server } from '../protocols/module.ts';
import { MAX_TARGET } from '../swarm/plan/answers.ts';
import { parse_segment, SEGMENT_SHAPE } from '../swarm/plan/segment.ts';

interface Option<T> {
  /** as commander reads them; the long one in capitals with SWARM_ before it is the variable of the environment */
  readonly flags: string;
  readonly help: string;
  /** null: none */
  readonly fallback: string | null;
  /** completes the sentence "… is not …" */
  readonly shape: string;
  /** undefined = the text does not have the shape */
  readonly parse: (text: string) => T | undefined;
  /** may be given several times; its variable of the environment takes a list with commas. The value is a list of what `parse` makes. */
  readonly many?: true;
  /** so may the flag */
  readonly commas?: true;
  /** the flag takes no value and says `true`; only its variable of the environment can say `false` */
  readonly is_switch?: true;
}

const MAX_REPLY = 2 ** 30;
/** ms: a day, well inside what Node's timers can count */
const MAX_DURATION = 86_400_000;
const SIZES: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

export function integer(text: string, min: number, max: number): number | undefined {
  const n = /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : NaN;
  return n >= min && n <= max ? n : undefined;
}

function duration(text: string, min: number): number | undefined {
  const ms = parse_duration(text);
  return ms !== undefined && ms >= min && ms <= MAX_DURATION ? ms : undefined;
}

/** `host:port`, an IPv6 address in brackets. */
function endpoint(text: string, min_port: number, is_host: (host: string) => boolean): Server | undefined {
  const found = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = integer(found?.[3] ?? '', min_port, 65_535);
  if (!found || port === undefined) return undefined;
  const [, inside, outside] = found;
  if (inside !== undefined) return isIP(inside) === 6 ? { host: inside, port } : undefined;
  return is_host(outside!) ? { host: outside!, port } : undefined;
}

/** A host name for a TLS handshake: it cannot ask for an address. */
const host_name = (text: string): string | undefined =>
  text !== '' && isIP(text) === 0 && is_name(text) ? text : undefined;

const TLS_VERSIONS = { '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;

/** `host:port`, `tls://host:port` or `unix:/path`. */
function server(text: string): Server | undefined {
  const [, path] = /^unix:(.+)$/s.exec(text) ?? [];
  // sun_path of sockaddr_un is 108 bytes on Linux, with a final 0
  if (path !== undefined) return Buffer.byteLength(path) <= 107 ? { host: '', port: 0, path } : undefined;
  const [, scheme, rest] = /^(tls:\/\/)?(.*)$/s.exec(text)!;
  const found = endpoint(rest!, 1, is_name);
  return found && scheme !== undefined ? { ...found, tls: true } : found;
}

/** A host name (RFC 1123, underscores allowed) or an IPv4 address; a name of digits and dots only is a mistyped address. */
export function is_name(host: string): boolean {
  if (/^[\d.]*$/.test(host)) return isIP(host) === 4;
  const labels = host.replace(/\.$/, '').split('.');
  return host.length <= 253 && labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

function size(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,10})(?:([kmg])(?:ib)?)?$/i.exec(text) ?? [];
  const bytes = Number(number) * SIZES[unit?.toLowerCase() ?? '']!;
  return bytes >= 1 && bytes <= MAX_REPLY ? bytes : undefined;
}

function delays(text: string): readonly [number, number] | undefined {
  const span = parse_span(text);
  return span !== undefined && span[1] <= MAX_DURATION ? span : undefined;
}

function alpn(text: string): readonly string[] | undefined {
  const names = text.split(',');
  return names.length <= 16 && names.every((name) => /^[!-~]{1,255}$/.test(name)) ? names : undefined;
}

const text_of = (text: string): string | undefined => (text.length >= 1 && text.length <= 4096 ? text : undefined);
const option = <T, R extends Option<T>>(row: R & Option<T>): R => row;

/** Times are in ms after parsing, sizes in bytes. */
export const OPTIONS = {
  listen: option({
    flags: '-l, --listen <ip:port>',
    help: 'where the console listens; port 0 = any free one',
    fallback: '127.0.0.1:8411',
    shape: '<ip:port>, such as 127.0.0.1:8411 or [::1]:8411',
    parse: (text) => endpoint(text, 0, (host) => isIP(host) === 4),
  }),
  server: option({
    flags: '-r, --server <host:port>',
    help: 'the server to connect to: host:port (an IPv6 address in brackets), tls://host:port or unix:/path; several share the clients evenly',
    fallback: null,
    shape:
      '<host:port>, such as chat.example:7000, 10.0.0.5:7000, [::1]:7000 or tls://chat.example:7443 (port 1 to 65535), or unix:/path (107 bytes at most)',
    parse: server,
    many: true,
  }),
  script: option({
    flags: '-s, --script <file>',
    help: 'the script (YAML) that every client loops',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  protocol_dir: option({
    flags: '-p, --protocol-dir <dir>',
    help: "where the script's protocol module is (default: the folder protocols beside the script's folder, else the script's folder)",
    fallback: null,
    shape: 'the name of a folder',
    parse: text_of,
  }),
  bind: option({
    flags: '--bind <addresses>',
    help: 'connect from these addresses of this machine, in turn: an address, a range (10.0.0.1-10.0.0.9), a net (10.0.0.0/28) or an interface (eth0)',
    fallback: null,
    shape: 'an address, a range, a net or the name of an interface',
    parse: (text) => (text.length <= 100 ? text_of(text) : undefined),
    many: true,
  }),
  ca: option({
    flags: '--ca <file>',
    help: 'certificates (PEM) of the issuers to trust for TLS, instead of the well-known ones',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  cert: option({
    flags: '--cert <file>',
    help: "swarm's own certificate (PEM, with its chain) for servers that ask for one",
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  key: option({
    flags: '--key <file>',
    help: 'the private key (PEM, without a passphrase) of --cert',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  servername: option({
    flags: '--servername <name>',
    help: 'the name to ask for and to check in TLS handshakes (default: the one --server has)',
    fallback: null,
    shape: 'a host name, such as chat.example',
    parse: host_name,
  }),
  insecure: option({
    flags: '--insecure',
    help: 'take any certificate of the server',
    fallback: 'false',
    shape: 'true or false',
    parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
    is_switch: true,
  }),
  alpn: option({
    flags: '--alpn <names>',
    help: 'protocols to offer in TLS handshakes (ALPN), the first the best (default: none)',
    fallback: null,
    shape: 'one to 16 names of 1 to 255 characters of ASCII with commas between, such as h2,http/1.1',
    parse: alpn,
  }),
  tls_min: option({
    flags: '--tls-min <1.2|1.3>',
    help: "the oldest version of TLS to speak (default: Node's, 1.2)",
    fallback: null,
    shape: '1.2 or 1.3',
    parse: (text) => (Object.hasOwn(TLS_VERSIONS, text) ? TLS_VERSIONS[text as keyof typeof TLS_VERSIONS] : undefined),
  }),
  workers: option({
    flags: '--workers <n|auto>',
    help: 'processes that hold the clients; 0 = this one alone, auto = one per core, and more while the target needs them',
    fallback: '0',
    shape: `a whole number from 0 to ${MAX_WORKERS}, or auto`,
    parse: (text) => (text === 'auto' ? text : integer(text, 0, MAX_WORKERS)),
  }),
  max_workers: option({
    flags: '--max-workers <n>',
    help: 'how many processes --workers auto may start',
    fallback: String(MAX_WORKERS),
    shape: `a whole number from 1 to ${MAX_WORKERS}`,
    parse: (text) => integer(text, 1, MAX_WORKERS),
  }),
  max_connections: option({
    flags: '--max-connections <n>',
    help: 'a number of clients that no command of the console can exceed (default: none)',
    fallback: null,
    shape: `a whole number from 1 to ${MAX_TARGET}`,
    parse: (text) => integer(text, 1, MAX_TARGET),
  }),
  seed: option({
    flags: '--seed <text>',
    help: 'draws the same random numbers again (default: a new one, told in the summary)',
    fallback: null,
    shape: 'a text of 1 to 256 characters',
    parse: (text) => (text.length <= 256 ? text_of(text) : undefined),
  }),
  segment: option({
    flags: '--segment <part>',
    help: 'hold only this part of the swarm, exactly, while other processes with the same commands and --seed hold the others: 2/5 (the second of five) or 1/4:1/2 (default: the whole)',
    fallback: null,
    shape: SEGMENT_SHAPE,
    parse: parse_segment,
  }),
  connect_timeout: option({
    flags: '--connect-timeout <time>',
    help: 'how long a connect may take, its TLS handshake included',
    fallback: '3s',
    shape: `a time above 0 up to 24h, such as 1.5 (seconds), 500ms, 2s or 1m; ${UNITS_TEXT}`,
    parse: (text) => duration(text, 1),
  }),
  connect_rate: option({
    flags: '--connect-rate <n>',
    help: 'connects per second over the whole swarm',
    fallback: '1000',
    shape: 'a number above 0 up to 1000000, such as 1000 or 0.5',
    parse: parse_rate,
  }),
  max_connect_rate: option({
    flags: '--max-connect-rate <n>',
    help: 'a connect rate that neither --connect-rate nor the console can exceed (default: none)',
    fallback: null,
    shape: 'a number above 0 up to 1000000, such as 1000 or 0.5',
    parse: parse_rate,
  }),
  reconnect_delay: option({
    flags: '--reconnect-delay <a-b>',
    help: 'wait a random time between a and b before a client connects again',
    fallback: '1-20',
    shape: 'one time or two with a dash between, the smaller first, up to 24h, such as 5, 1-20 (seconds) or 500ms-2s',
    parse: delays,
  }),
  reply_timeout: option({
    flags: '--reply-timeout <time>',
    help: 'how long a reply may take',
    fallback: '30s',
    shape: `a time above 0 up to 24h, such as 1.5 (seconds), 500ms, 2s or 1m; ${UNITS_TEXT}`,
    parse: (text) => duration(text, 1),
  }),
  drain_timeout: option({
    flags: '--drain-timeout <time>',
    help: 'how long stop waits for clients to finish their round',
    fallback: '10s',
    shape: `a time up to 24h, such as 0, 1.5 (seconds), 500ms, 2s or 1m; ${UNITS_TEXT}`,
    parse: (text) => duration(text, 0),
  }),
  stall_timeout: option({
    flags: '--stall-timeout <time>',
    help: 'a worker that does not answer for so long is killed and replaced; what it held is counted as lost',
    fallback: '30s',
    // shorter would take one that is busy for one that hangs
    shape: `a time from 5s up to 24h, such as 30 (seconds) or 5m; ${UNITS_TEXT}`,
    parse: (text) => duration(text, 5000),
  }),
  max_reply: option({
    flags: '--max-reply <size>',
    help: 'the longest reply; a longer one closes its connection',
    fallback: '1MiB',
    shape: 'a number of bytes from 1 up to 1GiB, such as 65536, 64k or 1MiB',
    parse: size,
  }),
  limit_up: option({
    flags: '--limit-up <size>',
    help: 'bytes per second that a connection sends at most (default: no limit)',
    fallback: null,
    shape: 'a number of bytes per second from 1 up to 1GiB, such as 2000, 64k or 1MiB',
    parse: size,
  }),
  limit_down: option({
    flags: '--limit-down <size>',
    help: 'bytes per second that a connection reads at most (default: no limit)',
    fallback: null,
    shape: 'a number of bytes per second from 1 up to 1GiB, such as 2000, 64k or 1MiB',
    parse: size,
  }),
  max_lifetime: option({
    flags: '--max-lifetime <a-b>',
    help: 'a connection ends a random time between a and b after it began, at the end of its round; then the client connects again (default: never)',
    fallback: null,
    shape: 'one time or two with a dash between, the smaller first, above 0 up to 24h, such as 60, 1m-5m or 500ms-2s',
    parse: (text) => {
      const span = delays(text);
      return span !== undefined && span[0] > 0 ? span : undefined;
    },
  }),
  idle_timeout: option({
    flags: '--idle-timeout <time>',
    help: 'a connection on which no byte went either way for so long ends (default: never)',
    fallback: null,
    shape: `a time from 100ms up to 24h, such as 90 (seconds), 500ms or 5m; ${UNITS_TEXT}`,
    parse: (text) => duration(text, 100),
  }),
  keep_alive: option({
    flags: '--keep-alive <time>',
    help: 'TCP keep-alive: the kernel asks after so much silence whether the server is still there (default: never)',
    fallback: null,
    // TCP_KEEPIDLE on Linux: 1 to 32767 s
    shape: `a time from 1s up to 9h, whole seconds, such as 60 or 5m; ${UNITS_TEXT}`,
    parse: (text) => {
      const ms = duration(text, 1000);
      return ms !== undefined && ms <= 32_400_000 && ms % 1000 === 0 ? ms : undefined;
    },
  }),
  join: option({
    flags: '--join <engine>',
    help: 'the engine of a swarm of many machines, as `swarm engine up` prints it; several of one cluster with commas',
    fallback: null,
    shape: 'a URL such as nats://10.0.0.1:4222, or several with commas',
    parse: (text) => (/^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/.test(text) ? text_of(text) : undefined),
  }),
  credentials: option({
    flags: '--credentials <file>',
    help: 'who this process is towards the engine: a file that `swarm engine up` wrote (mode 0600)',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  name: option({
    flags: '--name <name>',
    help: 'which swarm of the engine is meant: those with different names do not see each other',
    fallback: 'main',
    shape: 'letters, digits, _ and -, at most 32',
    parse: (text) => (/^[A-Za-z0-9_-]{1,32}$/.test(text) ? text : undefined),
  }),
  min_agents: option({
    flags: '--min-agents <n>',
    help: 'with --join: begin when so many agents are ready, within 30 s (default: at once, agents may come later)',
    fallback: '0',
    shape: 'a whole number from 0 to 1000',
    parse: (text) => integer(text, 0, 1000),
  }),
  paused: option({
    flags: '--paused',
    help: 'begin paused: clients connect but start no action until `resume`',
    fallback: 'false',
    shape: 'true or false',
    parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
    is_switch: true,
  }),
  isolation: option({
    flags: '--isolation <time|hold>',
    help: 'with --join: an agent that the engine does not answer for so long closes its clients, and they go to others; hold: it keeps them',
    fallback: '55s',
    shape: `a time from 2s up to 24h, such as 15 (seconds) or 1m, or hold; ${UNITS_TEXT}`,
    parse: (text) => (text === 'hold' ? text : duration(text, 2000)),
  }),
  lease: option({
    flags: '--lease <time>',
    help: 'with --join: a coordinator that is silent for so long is no longer the leader, and another one takes over',
    fallback: '5s',
    shape: `a time from 1s up to 60s, such as 5 (seconds); ${UNITS_TEXT}`,
    parse: (text) => {
      const ms = duration(text, 1000);
      return ms !== undefined && ms <= 60_000 ? ms : undefined;
    },
  }),
  labels: option({
    flags: '--labels <labels>',
    help: 'of an agent, shown by `agents`: words such as eu or site=eu, several with commas',
    fallback: null,
    shape: 'a word of letters, digits, . _ = and -, at most 64',
    parse: (text) => (/^[A-Za-z0-9._=-]{1,64}$/.test(text) ? text : undefined),
    many: true,
    commas: true,
  }),
  wait: option({
    flags: '--wait <time>',
    help: 'of an agent: for so long it waits for an engine that is not there yet, or for `ever`',
    fallback: '0',
    shape: '0, a time up to 24h such as 30 (seconds) or 5m, or ever',
    parse: (text) => (text === 'ever' ? Infinity : duration(text, 0)),
  }),
  weight: option({
    flags: '--weight <n>',
    help: 'of an agent: one of weight 2 is given twice as many clients as one of weight 1 (default: its number of workers)',
    fallback: null,
    shape: 'a number above 0 up to 1000000, such as 2 or 0.5',
    parse: parse_rate,
  }),
  report_every: option({
    flags: '--report-every <time>',
    help: 'how often a state line goes to stdout',
    fallback: '10s',
    shape: `a time from 1s up to 24h, such as 10 (seconds) or 1m; ${UNITS_TEXT}`,
    // workers report once a second: lines closer together would show nothing new
    parse: (text) => duration(text, 1000),
  }),
  summary: option({
    flags: '--summary <file>',
    help: 'write the final summary there as JSON',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  console_token_file: option({
    flags: '--console-token-file <file>',
    help: 'console sessions must say `auth` and the word in this file (mode 0600, 16 characters or more); needed to listen beyond loopback',
    fallback: null,
    shape: 'the name of a file',
    parse: text_of,
  }),
  log_level: option({
    flags: '--log-level <level>',
    help: `what goes to the log on stderr: ${LOG_LEVELS.join(', ')}`,
    fallback: 'info',
    shape: `one of ${LOG_LEVELS.join(', ')}`,
    parse: (text) => LOG_LEVELS.find((level) => level === text),
  }),
};

export type OptionName = keyof typeof OPTIONS;
type One<K extends OptionName> = Exclude<ReturnType<(typeof OPTIONS)[K]['parse']>, undefined>;
type Value<K extends OptionName> = (typeof OPTIONS)[K] extends { readonly many: true } ? readonly One<K>[] : One<K>;
export type Options = {
  readonly [K in OptionName]: (typeof OPTIONS)[K]['fallback'] extends null ? Value<K> | null : Value<K>;
};
/** {@link Options} in which those named `K` were given. */
export type OptionsWith<K extends OptionName> = Options & { readonly [N in K]: NonNullable<Options[N]> };

/** The flag as the user types it (`--connect-rate`) and its variable of the environment (`SWARM_CONNECT_RATE`). */
export const flag_of = (name: OptionName): string => `--${name.replaceAll('_', '-')}`;
export const variable_of = (name: OptionName): string => `SWARM_${name.toUpperCase()}`;

/** What was given, by name, and where: the faults quote it as the user wrote it. */
export interface Given {
  /** one, or as many as were given of an option that may be given several times */
  readonly texts: readonly string[];
  readonly from: 'flag' | 'environment';
}

/** An option by the name that the user gave it. */
const called_in = (given: Partial<Record<OptionName, Given>>, name: OptionName): string =>
  given[name]?.from === 'environment' ? variable_of(name) : flag_of(name);

/** The options, or everything that is wrong with them at once. */
export function parse_options<K extends OptionName = never>(
  given: Partial<Record<OptionName, Given>>,
  required: readonly K[] = [],
): { readonly options: OptionsWith<K> } | { readonly faults: readonly SwarmError[] } {
  const faults: SwarmError[] = [];
  const fault = (option: string, reason: string): number =>
    faults.push(new SwarmError('bad_option', { option, reason }));
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const [name, row] of Object.entries(OPTIONS) as [OptionName, Option<unknown>][]) {
    const texts = given[name]?.texts ?? (row.fallback === null ? [] : [row.fallback]);
    const parsed = texts.map((text) => row.parse(text));
    const value = texts.length === 0 ? null : row.many ? parsed : parsed[0];
    values[name] = value;
    const called = called_in(given, name);
    for (const [i, text] of texts.entries())
      if (parsed[i] === undefined) fault(called, `${JSON.stringify(text)} is not ${row.shape}`);
    if (value === null && (required as readonly OptionName[]).includes(name))
      fault(called, `not given; it takes ${row.shape}, here or in ${variable_of(name)}`);
  }
  if (faults.length > 0) return { faults };
  const options = values as OptionsWith<K>;
  const { connect_rate, max_connect_rate } = options;
  if (max_connect_rate === null || connect_rate <= max_connect_rate) return { options };
  // the default gives way
  if (!given.connect_rate) return { options: { ...options, connect_rate: max_connect_rate } };
  fault(called_in(given, 'connect_rate'), `${connect_rate} is above --max-connect-rate ${max_connect_rate}`);
  return { faults };
}
