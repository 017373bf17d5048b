import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { read_tls } from '../../src/launch/tls-files.ts';
import type { OptionName } from '../../src/options/options.ts';
import { parse_options, type Given } from '../../src/options/parse-options.ts';
import type { TlsSpec } from '../../src/swarm/plan/run-spec.ts';
import { Certificates, type Certificate } from '../certificates.ts';

const store = new Certificates();
let own: Certificate;
let other: Certificate;
beforeAll(() => {
  own = store.make('own', ['DNS:swarm.example']);
  other = store.make('other', ['DNS:other.example']);
});
afterAll(() => store.remove());

function read(given: Partial<Record<OptionName, string>>): TlsSpec | null {
  const texts = Object.entries(given).map(([name, text]): [string, Given] => [name, { texts: [text], from: 'flag' }]);
  const result = parse_options(Object.fromEntries(texts), 'run');
  if ('faults' in result) throw result.faults[0]!;
  return read_tls(result.options);
}

function file(name: string, text: string): string {
  const path = join(store.dir, name);
  writeFileSync(path, text);
  return path;
}

describe('read_tls', () => {
  it('is nothing when nothing is asked for', () => expect(read({})).toBeNull());

  it('takes the texts of the files', () => {
    const chain = file('chain.pem', `a comment\r\n${(own.cert + other.cert).replaceAll('\n', '\r\n')}`);
    const spec = read({ ca: chain, cert: own.cert_file, key: own.key_file, servername: 'a.b', tls_min: '1.3' });
    expect(spec).toMatchObject({ cert: own.cert, key: own.key, servername: 'a.b', insecure: false });
    expect(spec).toMatchObject({ min_version: 'TLSv1.3' });
    expect(spec!.ca!.match(/BEGIN/g)).toHaveLength(2);
    expect(read({ insecure: 'true' })).toMatchObject({ insecure: true, ca: null });
  });

  it.each<[string, () => Partial<Record<OptionName, string>>, RegExp]>([
    ['a missing file', () => ({ ca: '/nowhere/ca.pem' }), /^--ca: \/nowhere\/ca\.pem cannot be used: ENOENT/],
    ['a folder', () => ({ ca: store.dir }), /not a regular file/],
    ['no certificate', () => ({ ca: own.key_file }), /--ca: .*own\.key cannot be used: it holds no certificate/],
    [
      'a broken certificate',
      () => ({ ca: file('broken.pem', own.cert + other.cert.replace(/\n.{8}/, '\nAAAAAAAA')) }),
      /broken\.pem cannot be used: certificate 2 does not parse/,
    ],
    ['a key that does not fit', () => ({ cert: own.cert_file, key: other.key_file }), /^--key: .*key values mismatch/],
    ['a certificate as the key', () => ({ cert: own.cert_file, key: own.cert_file }), /^--key: .*own\.pem cannot/],
    ['no key', () => ({ cert: own.cert_file }), /^--key: not given; --cert needs it \(bad_option/],
    ['no certificate for the key', () => ({ key: own.key_file }), /^--cert: not given; --key needs it/],
    [
      'a key with a passphrase',
      () => ({ cert: own.cert_file, key: file('locked.key', own.key.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE')) }),
      /^--key: .*it has a passphrase/,
    ],
  ])('refuses %s, by option and file', (_, given, text) => {
    let fault: unknown;
    try {
      read(given());
    } catch (error) {
      fault = error;
    }
    expect(fault).toMatchObject({ name: 'SwarmError', exit: 2 });
    expect((fault as Error).message).toMatch(text);
    expect((fault as Error).message).not.toContain('\n');
  });
});
