/** TLS options of a connection: one SecureContext for all connections of a process, the server's name, the session. */
import { isIP } from 'node:net';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { TlsSpec } from '../plan/run-spec.ts';

/** What a handshake leaves to make the next one with the same server shorter: 1 to 2 KB. */
export interface TlsSession {
  /** the endpoint: a session stands for a server's identity, so it is good only for the same address and name */
  readonly of: object;
  readonly servername: string | undefined;
  readonly bytes: Buffer;
}

/** Where a handshake goes. */
export interface TlsPeer {
  readonly host: string;
  /** the server's name as the user gave it; an address or empty when it has no name */
  readonly name: string;
}

/** Node's own defaults. */
export const NO_TLS_OPTIONS: TlsSpec = {
  ca: null,
  cert: null,
  key: null,
  servername: null,
  insecure: false,
  min_version: null,
  alpn: null,
};

export class Secure {
  readonly #spec: TlsSpec;
  #context: SecureContext | null = null;

  constructor(spec: TlsSpec | null) {
    this.#spec = spec ?? NO_TLS_OPTIONS;
  }

  /** The name to ask for (SNI) and to check. RFC 6066: never an address, and without a final dot. */
  servername(peer: TlsPeer, asked?: string): string | undefined {
    const name = asked ?? this.#spec.servername ?? peer.name;
    return name === '' || isIP(name) !== 0 ? undefined : name.replace(/\.$/, '');
  }

  /** `session`: from the client's last connection, which may have been to another server. */
  options(peer: TlsPeer, servername: string | undefined, session: TlsSession | null): ConnectionOptions {
    // without a name the certificate must be for the address
    const options: ConnectionOptions = {
      secureContext: (this.#context ??= context_of(this.#spec)),
      host: peer.host,
      rejectUnauthorized: !this.#spec.insecure,
    };
    if (this.#spec.alpn !== null) options.ALPNProtocols = [...this.#spec.alpn];
    if (servername !== undefined) options.servername = servername;
    if (session !== null && session.of === peer && session.servername === servername) options.session = session.bytes;
    return options;
  }
}

/** @throws OpenSSL's error when something does not parse or fit */
export function context_of({ ca, cert, key, min_version }: TlsSpec): SecureContext {
  return createSecureContext({
    ...(ca !== null && { ca }),
    ...(cert !== null && { cert }),
    ...(key !== null && { key }),
    ...(min_version !== null && { minVersion: min_version }),
  });
}

const TRUST = 'trust its issuer with --ca, or take any certificate with --insecure';
/** What the user can do, by the error's code. */
const HINTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: '--insecure takes it all the same',
  DEPTH_ZERO_SELF_SIGNED_CERT: TRUST,
  SELF_SIGNED_CERT_IN_CHAIN: TRUST,
  UNABLE_TO_GET_ISSUER_CERT: TRUST,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: TRUST,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: TRUST,
  ERR_TLS_CERT_ALTNAME_INVALID: 'ask for a name it is for with --servername',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does the server speak TLS there?',
};

/** An error of a TLS socket on one line, without the numbers and source lines of OpenSSL's messages. */
export function tls_error_text(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
  const { code = '', reason, message } = error;
  const said = code.startsWith('ERR_SSL') && reason ? `TLS: ${reason}` : message;
  const hint = HINTS[code];
  return hint === undefined ? said : `${said} (${hint})`;
}
