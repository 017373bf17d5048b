/** The files of --ca, --cert and --key, read and tried out before the first connection. */
import { X509Certificate } from 'node:crypto';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { read_text } from '../foundation/files.ts';
import type { Options } from '../options/options.ts';
import { context_of, NO_TLS_OPTIONS } from '../swarm/client/secure.ts';
import type { TlsSpec } from '../swarm/plan/run-spec.ts';

/** Bytes of a file; all issuers that browsers know take a quarter of it. */
const MAX_PEM = 1024 * 1024;

/**
 * Null when no option asks for anything.
 * @throws SwarmError `bad_certificate`, `bad_option`
 */
export function read_tls(options: Options): TlsSpec | null {
  const { ca, cert, key, servername, insecure, tls_min: min_version, alpn } = options;
  if ([ca, cert, key, servername, min_version, alpn].every((value) => value === null) && !insecure) return null;
  if (key === null && cert !== null) throw missing('--cert', '--key');
  if (cert === null && key !== null) throw missing('--key', '--cert');
  return {
    ca: read(ca, '--ca', certificates),
    cert: read(cert, '--cert', (text) => {
      certificates(text);
      context_of({ ...NO_TLS_OPTIONS, cert: text });
    }),
    // the key must fit its certificate
    key: read(key, '--key', (text) => {
      if (/^-----BEGIN ENCRYPTED|^Proc-Type: .*ENCRYPTED/m.test(text)) throw new Error('it has a passphrase');
      context_of({ ...NO_TLS_OPTIONS, cert: read_text(cert!, MAX_PEM), key: text });
    }),
    servername,
    insecure,
    min_version,
    alpn,
  };
}

const missing = (given: string, other: string): SwarmError =>
  new SwarmError('bad_option', { option: other, reason: `not given; ${given} needs it` });

function read(file: string | null, option: string, check: (text: string) => void): string | null {
  if (file === null) return null;
  try {
    const text = read_text(file, MAX_PEM);
    check(text);
    return text;
  } catch (error) {
    throw new SwarmError('bad_certificate', { option, file, reason: text_of(error) }, error);
  }
}

/** Checks each certificate: OpenSSL itself skips issuers that it cannot read. */
function certificates(text: string): void {
  const blocks = text.match(/^-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^]*?^-----END \1-----/gm) ?? [];
  if (blocks.length === 0) throw new Error('it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)');
  for (const [i, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw new Error(`certificate ${i + 1} does not parse: ${text_of(error)}`, { cause: error });
    }
  }
}

/** OpenSSL's messages are `error:0A000074:SSL routines::reason`; only the reason helps. */
function text_of(error: unknown): string {
  const { reason } = error as { readonly reason?: unknown };
  return typeof reason === 'string' ? reason : reason_of(error);
}
