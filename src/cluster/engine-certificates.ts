/** Certificates of an engine beyond loopback, made by the `openssl` command: an issuer of its own, one for the server, one for each identity. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { SwarmError, reason_of } from '../foundation/errors.ts';

export interface Issued {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const DAYS = '3650';
const KEY_PAIR = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** In a folder that nobody else can read. */
export class Certificates {
  readonly #dir: string;

  /** @throws SwarmError engine_certificates */
  constructor(dir: string) {
    this.#dir = dir;
    if (existsSync(this.#ca) && existsSync(this.#ca_key)) return;
    this.#issue(
      'the issuer of a swarm engine',
      ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'],
      {
        cert: this.#ca,
        key: this.#ca_key,
      },
    );
  }

  /** Issued anew at each start: the addresses may be others. Returns paths. */
  server(addresses: readonly string[]): Issued {
    const files = { cert: join(this.#dir, 'server.pem'), key: join(this.#dir, 'server.key') };
    const names = addresses.map((address) => `${isIP(address) ? 'IP' : 'DNS'}:${address}`);
    const signed = ['-CA', this.#ca, '-CAkey', this.#ca_key];
    this.#issue('swarm-engine', [...leaf('serverAuth'), `subjectAltName=${names.join(',')}`], files, signed);
    return { ca: this.#ca, ...files };
  }

  /** Returns the texts. */
  client(user: string): Issued {
    const temporary = mkdtempSync(join(this.#dir, '.issue-'));
    try {
      const files = { cert: join(temporary, 'cert'), key: join(temporary, 'key') };
      this.#issue(user, leaf('clientAuth'), files, ['-CA', this.#ca, '-CAkey', this.#ca_key]);
      return { ca: this.ca, cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /** The text of the issuer's. */
  get ca(): string {
    return readFileSync(this.#ca, 'utf8');
  }

  get #ca(): string {
    return join(this.#dir, 'ca.pem');
  }

  get #ca_key(): string {
    return join(this.#dir, 'ca.key');
  }

  #issue(
    name: string,
    extensions: readonly string[],
    { cert, key }: { cert: string; key: string },
    signed: readonly string[] = [],
  ): void {
    const config = join(this.#dir, 'openssl.cnf');
    writeFileSync(config, `[req]\ndistinguished_name=d\nx509_extensions=x\n[d]\n[x]\n${extensions.join('\n')}\n`);
    try {
      execFileSync(
        'openssl',
        ['req', '-x509', '-config', config, ...KEY_PAIR, '-days', DAYS, '-subj', `/CN=${name}`, ...signed].concat([
          '-keyout',
          key,
          '-out',
          cert,
        ]),
        { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, OPENSSL_CONF: config } },
      );
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason = code === 'ENOENT' ? 'there is no command openssl' : reason_of(error);
      throw new SwarmError('engine_certificates', { reason }, error);
    } finally {
      rmSync(config, { force: true });
    }
  }
}

const leaf = (usage: string): string[] => [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  `extendedKeyUsage=${usage}`,
];
