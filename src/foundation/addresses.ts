/** IP addresses as texts and as numbers: one address, a range, a net. Pure. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Consecutive addresses, both ends included. `first` may be above `last`: the caller refuses that. */
export interface Span {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

const BITS = { 4: 32, 6: 128 } as const;
/** ::ffff:0:0/96, IPv4 addresses written as IPv6 ones (RFC 4291 2.5.5.2) */
const MAPPED = 0xffffn;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Only this machine reaches the address. */
export const is_loopback = (ip: string): boolean => LOOPBACK.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');

/**
 * `10.0.0.1`, `10.0.0.1-10.0.0.9`, `10.0.0.1-9` (IPv4 only: a new last number) or `10.0.0.0/28`, IPv6 likewise; null
 * otherwise. An IPv4 net wider than /31 loses its first and last address, which are not for hosts (RFC 1122 3.2.1.3,
 * RFC 3021), except on loopback.
 */
export function parse_span(text: string): Span | null {
  const [, start, mark, end] = /^([^/-]+)(?:([/-])([^/-]+))?$/.exec(text) ?? [];
  const first = start === undefined ? null : number_of(start);
  if (first === null) return null;
  if (mark === undefined) return { ...first, first: first.value, last: first.value };
  if (mark === '/') return net_of(first, end!);
  const is_short = first.family === 4 && /^\d+$/.test(end!);
  const last = number_of(is_short ? start!.replace(/\d+$/, end!) : end!);
  return last?.family === first.family ? { family: first.family, first: first.value, last: last.value } : null;
}

export const size_of = ({ first, last }: Span): bigint => last - first + 1n;

/** Every address of the span, in the shortest form. Check {@link size_of} first. */
export function list_span({ family, first, last }: Span): string[] {
  const all: string[] = [];
  for (let value = first; value <= last; value++) all.push(text_of(family, value));
  return all;
}

/**
 * Whether a connection can come from there: not from 0.0.0.0, ::, or a group's address (224.0.0.0 and above, ff00::/8).
 */
export function is_host(address: string): boolean {
  const { family, value } = number_of(address)!;
  return value !== 0n && (family === 4 ? value >> 28n < 0xen : value >> 120n !== 0xffn);
}

interface IpNumber {
  readonly family: 4 | 6;
  readonly value: bigint;
}

function number_of(text: string): IpNumber | null {
  const family = text.includes('%') ? 0 : isIP(text); // an address with a zone is more than a number
  if (family === 4) return { family, value: text.split('.').reduce((all, part) => (all << 8n) | BigInt(part), 0n) };
  if (family !== 6) return null;
  // URL writes every form of an IPv6 address in the shortest one, even with an IPv4 address at its end
  const [left = [], right = []] = new URL(`http://[${text}]`).hostname
    .slice(1, -1)
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const value = [...left, ...zeros, ...right].reduce((all, word) => (all << 16n) | BigInt(`0x${word}`), 0n);
  return value >> 32n === MAPPED ? { family: 4, value: value & 0xffff_ffffn } : { family, value };
}

function text_of(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const hex = value.toString(16).padStart(32, '0');
  return new URL(`http://[${hex.match(/.{4}/g)!.join(':')}]`).hostname.slice(1, -1);
}

function net_of({ family, value }: IpNumber, length: string): Span | null {
  const bits = /^\d{1,3}$/.test(length) ? BITS[family] - Number(length) : -1;
  if (bits < 0) return null;
  const first = (value >> BigInt(bits)) << BigInt(bits);
  const last = first + (1n << BigInt(bits)) - 1n;
  const all_hosts = family === 6 || bits <= 1 || first >> 24n === 127n;
  return all_hosts ? { family, first, last } : { family, first: first + 1n, last: last - 1n };
}
