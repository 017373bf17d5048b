/** Certificates of an engine beyond loopback, made by the `openssl` command: an issuer of its own, one for the server, one for each identity. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { write_named } from '../foundation/files.ts';

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

  /** @throws SwarmError engine_certificates; an Error that names the file which cannot be written */
  constructor(dir: string) {
    this.#dir = dir;
    if (existsSync(this.#ca) && existsSync(this.#ca_key)) return;
    const extensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'];
    const { cert, key } = issue('the issuer of a swarm engine', extensions);
    write_named(this.#ca_key, key);
    write_named(this.#ca, cert);
  }

  /** Issued anew at each start: the addresses may be others. Returns paths. */
  server(addresses: readonly string[]): Issued {
    const files = { cert: join(this.#dir, 'server.pem'), key: join(this.#dir, 'server.key') };
    const names = addresses.map((address) => `${isIP(address) ? 'IP' : 'DNS'}:${address}`);
    const { cert, key } = issue(
      'swarm-engine',
      [...leaf('serverAuth'), `subjectAltName=${names.join(',')}`],
      this.#signed,
    );
    write_named(files.key, key);
    write_named(files.cert, cert);
    return { ca: this.#ca, ...files };
  }

  /** Returns the texts. */
  client(user: string): Issued {
    return { ca: this.ca, ...issue(user, leaf('clientAuth'), this.#signed) };
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

  get #signed(): string[] {
    return ['-CA', this.#ca, '-CAkey', this.#ca_key];
  }
}

/** Texts. Through pipes: openssl takes a full disk for success, and what it wrote is empty. */
function issue(
  name: string,
  extensions: readonly string[],
  signed: readonly string[] = [],
): { cert: string; key: string } {
  const config = `[req]\ndistinguished_name=d\nx509_extensions=x\n[d]\n[x]\n${extensions.join('\n')}\n`;
  const args = ['req', '-x509', '-config', '-', ...KEY_PAIR, '-days', DAYS, '-subj', `/CN=${name}`, ...signed];
  try {
    const env = { ...process.env, OPENSSL_CONF: '/dev/null' };
    const texts = execFileSync('openssl', args, { input: config, encoding: 'utf8', stdio: 'pipe', env });
    const text_of = (what: string): string =>
      new RegExp(`-----BEGIN ${what}-----.*?-----END ${what}-----\n`, 's').exec(texts)![0];
    return { cert: text_of('CERTIFICATE'), key: text_of('PRIVATE KEY') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no command openssl' : reason_of(error);
    throw new SwarmError('engine_certificates', { reason }, error);
  }
}

const leaf = (usage: string): string[] => [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  `extendedKeyUsage=${usage}`,
];
