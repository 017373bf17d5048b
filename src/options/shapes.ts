/** What the value of an option may be: the words that say so, and the way from its text to the value. Pure. */
import { isIP } from 'node:net';
import { parse_duration, parse_span, UNITS_TEXT } from '../foundation/duration.ts';
import { LOG_LEVELS } from '../foundation/log.ts';
import { parse_rate } from '../foundation/rate.ts';
import type { Server } from '../protocols/module.ts';
import { parse_segment, SEGMENT_SHAPE } from '../swarm/plan/segment.ts';

/** Times are in ms after parsing, sizes in bytes. */
export interface OptionShape<T> {
  /** completes the sentence "… is not …" */
  readonly text: string;
  /** undefined = the text does not have the shape */
  readonly parse: (text: string) => T | undefined;
}

const MAX_TEXT = 4096;
const MAX_SIZE = 2 ** 30;
const SIZES: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
/** ms: a day, well inside what Node's timers can count */
const MAX_DURATION = 86_400_000;
const TLS_VERSIONS = { '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;

function parse_integer(text: string, min: number, max: number): number | undefined {
  const n = /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : NaN;
  return n >= min && n <= max ? n : undefined;
}

/** A whole number; `more` is said behind it. */
export const integer = (min: number, max: number, more = ''): OptionShape<number> => ({
  text: `a whole number from ${min} to ${max}${more}`,
  parse: (text) => parse_integer(text, min, max),
});

/** A shape whose text names one word besides, and the value that the word stands for. */
export const or_word = <T, V>(shape: OptionShape<T>, word: string, value: V): OptionShape<T | V> => ({
  text: shape.text,
  parse: (text) => (text === word ? value : shape.parse(text)),
});

/** A time up to a day; `text` is what is said of it before the units, `fits` what must hold of it, in ms. */
export const duration = (text: string, fits: (ms: number) => boolean): OptionShape<number> => ({
  text: `${text}; ${UNITS_TEXT}`,
  parse: (given) => {
    const ms = parse_duration(given);
    return ms !== undefined && ms <= MAX_DURATION && fits(ms) ? ms : undefined;
  },
});

/** A time that something may take. */
export const TIMEOUT = duration('a time above 0 up to 24h, such as 1.5 (seconds), 500ms, 2s or 1m', (ms) => ms >= 1);

/** A time, or two between which one is drawn; `range` is what is said of them, `fits` what must hold of the smaller. */
export const delays = (range: string, fits: (ms: number) => boolean): OptionShape<readonly [number, number]> => ({
  text: `one time or two with a dash between, the smaller first, ${range}`,
  parse: (text) => {
    const span = parse_span(text);
    return span !== undefined && span[1] <= MAX_DURATION && fits(span[0]) ? span : undefined;
  },
});

/** So many a second, or a weight. */
export const rate = (examples: string): OptionShape<number> => ({
  text: `a number above 0 up to 1000000, such as ${examples}`,
  parse: parse_rate,
});

/** A number of `what`, with the letters of binary multiples. */
export const size = (what: string, examples: string): OptionShape<number> => ({
  text: `a number of ${what} from 1 up to 1GiB, such as ${examples}`,
  parse: (text) => {
    const [, number, unit] = /^(\d{1,10})(?:([kmg])(?:ib)?)?$/i.exec(text) ?? [];
    const bytes = Number(number) * SIZES[unit?.toLowerCase() ?? '']!;
    return bytes >= 1 && bytes <= MAX_SIZE ? bytes : undefined;
  },
});

/** Any text that is not empty. */
export const words = (text: string, most = MAX_TEXT): OptionShape<string> => ({
  text,
  parse: (given) => (given.length >= 1 && given.length <= most ? given : undefined),
});

/** A text that a pattern describes. */
export const pattern = (text: string, expected: RegExp): OptionShape<string> => ({
  text,
  parse: (given) => (given.length <= MAX_TEXT && expected.test(given) ? given : undefined),
});

/** The name of a file; whether it is there shows when it is opened. */
export const FILE = words('the name of a file');
/** The name of a folder; likewise. */
export const FOLDER = words('the name of a folder');

/** What a switch says in the environment. */
export const TRUE_OR_FALSE: OptionShape<boolean> = {
  text: 'true or false',
  parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
};

/** `host:port`, an IPv6 address in brackets. */
function endpoint(text: string, min_port: number, is_host: (host: string) => boolean): Server | undefined {
  const found = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = parse_integer(found?.[3] ?? '', min_port, 65_535);
  if (!found || port === undefined) return undefined;
  const [, inside, outside] = found;
  if (inside !== undefined) return isIP(inside) === 6 ? { host: inside, port } : undefined;
  return is_host(outside!) ? { host: outside!, port } : undefined;
}

/** A host name (RFC 1123, underscores allowed) or an IPv4 address; one of digits and dots only is a mistyped address. */
function is_name(host: string): boolean {
  if (/^[\d.]*$/.test(host)) return isIP(host) === 4;
  const labels = host.replace(/\.$/, '').split('.');
  return host.length <= 253 && labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

/** Where this machine listens: an address of its own. */
export const LISTEN: OptionShape<Server> = {
  text: '<ip:port>, such as 127.0.0.1:8411 or [::1]:8411',
  parse: (text) => endpoint(text, 0, (host) => isIP(host) === 4),
};

/** `host:port`, `tls://host:port` or `unix:/path`. */
export const SERVER: OptionShape<Server> = {
  text:
    '<host:port>, such as chat.example:7000, 10.0.0.5:7000, [::1]:7000 or tls://chat.example:7443 ' +
    '(port 1 to 65535), or unix:/path (107 bytes at most)',
  parse: (text) => {
    const [, path] = /^unix:(.+)$/s.exec(text) ?? [];
    // sun_path of sockaddr_un is 108 bytes on Linux, with a final 0
    if (path !== undefined) return Buffer.byteLength(path) <= 107 ? { host: '', port: 0, path } : undefined;
    const [, scheme, rest] = /^(tls:\/\/)?(.*)$/s.exec(text)!;
    const found = endpoint(rest!, 1, is_name);
    return found && scheme !== undefined ? { ...found, tls: true } : found;
  },
};

/** A host name for a TLS handshake: it cannot ask for an address. */
export const HOST_NAME: OptionShape<string> = {
  text: 'a host name, such as chat.example',
  parse: (text) => (text !== '' && isIP(text) === 0 && is_name(text) ? text : undefined),
};

/** What others call this machine. */
export const HOST: OptionShape<string> = {
  text: 'a host name or an address',
  parse: (text) => (isIP(text) !== 0 || is_name(text) ? text : undefined),
};

/** Names of protocols for ALPN. */
export const ALPN: OptionShape<readonly string[]> = {
  text: 'one to 16 names of 1 to 255 characters of ASCII with commas between, such as h2,http/1.1',
  parse: (text) => {
    const names = text.split(',');
    return names.length <= 16 && names.every((name) => /^[!-~]{1,255}$/.test(name)) ? names : undefined;
  },
};

/** A version of TLS, as Node calls it. */
export const TLS_VERSION: OptionShape<(typeof TLS_VERSIONS)[keyof typeof TLS_VERSIONS]> = {
  text: '1.2 or 1.3',
  parse: (text) => (Object.hasOwn(TLS_VERSIONS, text) ? TLS_VERSIONS[text as keyof typeof TLS_VERSIONS] : undefined),
};

/** A part of the swarm. */
export const SEGMENT = { text: SEGMENT_SHAPE, parse: parse_segment };

/** How much the log says. */
export const LOG_LEVEL: OptionShape<(typeof LOG_LEVELS)[number]> = {
  text: `one of ${LOG_LEVELS.join(', ')}`,
  parse: (text) => LOG_LEVELS.find((level) => level === text),
};
