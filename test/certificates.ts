/** Keys and certificates made for one test file, in a folder that goes with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly cert_file: string;
  readonly key_file: string;
  readonly cert: string;
  readonly key: string;
}

export class Certificates {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarm-certificates-'));

  /** Issued by itself. `names` as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  make(name: string, names: readonly string[]): Certificate {
    const { cert_file, key_file } = this.#files(name);
    this.#openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-keyout', key_file, '-out', cert_file, '-subj', `/CN=${name}`],
      ...['-addext', `subjectAltName=${names.join(',')}`],
    );
    return this.#read(name);
  }

  /** Likewise, but it was good in 2020 only: `openssl ca` alone takes dates. */
  make_expired(name: string, names: readonly string[]): Certificate {
    const { cert_file, key_file } = this.#files(name);
    const path = (end: string): string => join(this.dir, `${name}.${end}`);
    writeFileSync(path('db'), '');
    writeFileSync(
      path('cnf'),
      `[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=${this.dir}\ndatabase=${path('db')}\nrand_serial=yes\ndefault_md=sha256
policy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=${names.join(',')}\n`,
    );
    this.#openssl(
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key_file, '-out', path('csr'), '-subj', `/CN=${name}`],
    );
    this.#openssl(
      ...['ca', '-batch', '-notext', '-config', path('cnf'), '-selfsign', '-keyfile', key_file],
      ...['-in', path('csr'), '-out', cert_file, '-startdate', '20200101000000Z', '-enddate', '20200102000000Z'],
    );
    return this.#read(name);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #files(name: string): { cert_file: string; key_file: string } {
    return { cert_file: join(this.dir, `${name}.pem`), key_file: join(this.dir, `${name}.key`) };
  }

  #read(name: string): Certificate {
    const files = this.#files(name);
    return {
      ...files,
      cert: readFileSync(files.cert_file, 'utf8'),
      key: readFileSync(files.key_file, 'utf8'),
    };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}
