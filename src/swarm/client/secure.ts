/** What tls.connect is told besides where to connect: one SecureContext for all connections of a process, names, sessions. */
import { isIP } from 'node:net';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { TlsSpec } from '../plan/run-spec.ts';

/** What a handshake left behind to make the next one with the same server shorter: 1 to 2 KB. */
export interface TlsSession {
  /** a session tells who the server is: good for the same address and name alone */
  readonly of: object;
  readonly servername: string | undefined;
  readonly bytes: Buffer;
}

/** Where a handshake goes. */
export interface TlsPeer {
  readonly host: string;
  /** the name the server was given by, an address or empty when it has none */
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

  /** The name to ask for (SNI) and to check. RFC 6066: never an address, without a final dot. */
  servername(peer: TlsPeer, asked?: string): string | undefined {
    const name = asked ?? this.#spec.servername ?? peer.name;
    return name === '' || isIP(name) !== 0 ? undefined : name.replace(/\.$/, '');
  }

  /** `session`: what the client's last connection left behind, of whatever server that was. */
  options(peer: TlsPeer, servername: string | undefined, session: TlsSession | null): ConnectionOptions {
    // without a name the address is what the certificate must be for
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
/** What to do next, by the code of what happened. */
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

/** An error of a secured socket on one line: OpenSSL's own messages begin with numbers and end with its source lines. */
export function tls_error_text(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
  const { code = '', reason, message } = error;
  const said = code.startsWith('ERR_SSL') && reason ? `TLS: ${reason}` : message;
  const hint = HINTS[code];
  return hint === undefined ? said : `${said} (${hint})`;
}
