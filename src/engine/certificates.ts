/** Certificates of an engine beyond loopback, made by the `openssl` command: its issuer, the server, each identity. */
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

/** Keeps the issuer and the server's certificate in a folder that nobody else can read. */
export class Certificates {
  readonly #dir: string;

  /**
   * Makes the issuer if it is missing.
   * @throws SwarmError `engine_certificates`; an Error that names a file that cannot be written
   */
  constructor(dir: string) {
    this.#dir = dir;
    if (existsSync(this.#ca) && existsSync(this.#ca_key)) return;
    const extensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'];
    const { cert, key } = issue('the issuer of a swarm engine', extensions);
    write_named(this.#ca_key, key);
    write_named(this.#ca, cert);
  }

  /** Issues the server's certificate, anew at each start as the addresses may change. Returns paths. */
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

  /** Issues the certificate of an identity. Returns PEM texts. */
  client(user: string): Issued {
    return { ca: this.ca, ...issue(user, leaf('clientAuth'), this.#signed) };
  }

  /** The issuer's certificate as PEM text. */
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

/** Returns PEM texts, read through pipes: on a full disk openssl reports success and writes empty files. */
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
