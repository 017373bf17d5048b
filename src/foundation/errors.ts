/**
 * Every fault swarm can name: one error class, one table of codes. `docs/errors.md` is checked against the tables here, both ways.
 */

/**
 * Faults of usage and of the run, as the operator meets them. `text` says what happened, `hint` what to do next;
 * `{name}` is filled from the details. `exit` is the process' exit code when the fault ends the run (2 = bad usage, script or module, 1 = at run time).
 */
export const FAULTS = {
  bad_option: { text: '{option}: {reason}', hint: 'run `swarm --help` for the shape it takes', exit: 2 },
  internal: { text: 'swarm itself failed: {reason}', hint: 'this is a bug of swarm: please report it with the log', exit: 1 },
} as const satisfies Record<string, { text: string; hint: string; exit: 1 | 2 }>;

export type FaultCode = keyof typeof FAULTS;

/**
 * How a call, a round or a connection of a client fails, by the code it is counted under. Errno codes of the system
 * (`ECONNREFUSED`, `ECONNRESET`, …) stand beside these as they are.
 */
export const FAILURES = {
  connect_timeout: 'no TCP connection within --connect-timeout',
  server_closed: 'the server closed the connection (FIN) while it was in use',
  timeout: 'no whole reply within --reply-timeout, or the bytes of a send did not drain in that time',
  wrong_reply: 'the module said the server answered wrongly: wrong_reply(…)',
  reply_too_large: 'a reply longer than --max-reply',
  closed: 'the module closed the connection itself while another call was open',
  killed: 'the client was taken away (decr, stop) while it was connecting or in a round',
  fatal: 'code of the module threw: a bug in the module, see its stack in the log',
  bad_parser: 'a function parser returned something that is not a non-negative integer',
  bad_call: 'a FakeClient method was called with arguments it cannot take, or while another call without `messages` was open',
} as const satisfies Record<string, string>;

export type FailureCode = keyof typeof FAILURES;

/** A fault with a code from {@link FAULTS}; the message is ready to be shown: what was asked, what happened, what to do next. */
export class SwarmError extends Error {
  override readonly name = 'SwarmError';
  readonly code: FaultCode;
  readonly exit: 1 | 2;
  constructor(code: FaultCode, details: Record<string, string | number> = {}, cause?: unknown) {
    const fault = FAULTS[code];
    const said = fault.text.replace(/\{(\w+)\}/g, (_, key: string) => String(details[key] ?? `{${key}}`));
    super(`${said} (${code}: ${fault.hint})`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.exit = fault.exit;
  }
}

/** What anything thrown has to say, on one line; never throws itself. */
export function reason_of(error: unknown): string {
  try {
    return (error instanceof Error ? error.message || error.name : String(error)).split('\n', 1)[0] ?? '';
  } catch {
    return 'an error that cannot be printed';
  }
}
