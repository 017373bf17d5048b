/**
 * Every fault swarm can name: one error class and the tables of codes. A test checks `docs/errors.md` against them,
 * both ways.
 */

/**
 * Faults of usage and of the run, as the operator meets them. `text` says what happened, `hint` what to do next;
 * `{name}` is filled from the details. `exit` is the process' exit code when the fault ends the run: 2 for bad usage,
 * script or module, 1 at run time.
 */
export const FAULTS = {
  bad_option: { text: '{option}: {reason}', hint: '`swarm <command> --help` lists what each command takes', exit: 2 },
  bad_script: {
    text: '{file} is not a script that can run:{faults}',
    hint: '`swarm schema` prints what editors complete and check scripts with',
    exit: 2,
  },
  bad_load: {
    text: '{whose}: not a load that can be played:{faults}',
    hint: 'docs/load.md shows how a load is written, `swarm check --load …` what becomes of it',
    exit: 2,
  },
  no_script: { text: 'cannot read the script {file}: {reason}', hint: 'name a YAML file with --script', exit: 2 },
  bad_token_file: {
    text: 'the console token file {file} cannot be used: {reason}',
    hint: 'it holds one line of 16 to 1024 characters that only its owner may read; `openssl rand -hex 16` makes one',
    exit: 2,
  },
  bad_summary_path: {
    text: 'the summary cannot be written to {file}: {reason}',
    hint: 'name a file in a folder that exists and can be written with --summary',
    exit: 2,
  },
  bad_tmpdir: {
    text: 'the bundled module cannot be written to {file}: {reason}',
    hint: 'make room there, or name a folder that exists and can be written in the environment variable TMPDIR',
    exit: 2,
  },
  name_unknown: {
    text: 'the name of the server, {host}, does not resolve: {reason}',
    hint: 'check --server and the name service',
    exit: 1,
  },
  bad_certificate: {
    text: '{option}: {file} cannot be used: {reason}',
    hint: 'docs/connections.md says what --ca, --cert and --key take',
    exit: 2,
  },
  summary_lost: {
    text: 'the final summary could not be written to {file}: {reason}',
    hint: 'it stands above as a table',
    exit: 1,
  },
  output_lost: {
    text: 'what was printed last is not in the file that standard output goes to: {reason}',
    hint: 'make room there, or let it go elsewhere',
    exit: 1,
  },
  bad_summary: {
    text: '{file} is not a summary that can be merged: {reason}',
    hint: 'merge takes the files that --summary wrote at the end of a run',
    exit: 2,
  },
  summaries_differ: {
    text: '{files} cannot be merged: {reason}',
    hint: 'merge takes the segments of one swarm: the same script, module and --seed, each part once; see docs/segments.md',
    exit: 2,
  },
  module_name: {
    text: '{protocol} is not a module name',
    hint: 'protocol: takes a name in the protocol folder, without path or ending: at most 64 letters, digits, _ and -, the first no -',
    exit: 2,
  },
  module_not_found: {
    text: 'no protocol module {protocol} in {dir}: {reason}',
    hint: 'it is the first of <name>.ts, .mts, .js, .mjs, .cjs in the protocol folder, see --protocol-dir',
    exit: 2,
  },
  module_outside: {
    text: '{file} leads out of the protocol folder, to {path}',
    hint: 'put the file itself there, or name its folder with --protocol-dir',
    exit: 2,
  },
  module_native: {
    text: '{file} needs {name}, a compiled add-on, at {place}',
    hint: 'modules are bundled into one file of JavaScript: use a dependency without native code',
    exit: 2,
  },
  module_build: { text: '{file} does not build: {reason}', hint: 'correct the module and start again', exit: 2 },
  module_load: {
    text: 'the protocol module failed while it was loaded: {reason}',
    hint: 'its top-level code threw or never ended: correct it, or do the work in setup',
    exit: 2,
  },
  bad_module: {
    text: 'the protocol module has exports that cannot be used: {reason}',
    hint: 'docs/protocols.md lists what each export must be',
    exit: 2,
  },
  bad_bind: {
    text: '--bind {reason}',
    hint: '`ip -br addr` lists the addresses of this machine, `ip addr add 10.0.0.1/24 dev eth0` adds one; docs/limits.md says what --bind takes',
    exit: 2,
  },
  console_in_use: {
    text: 'the console address {listen} is in use',
    hint: 'another swarm may be running there; choose another port with --listen',
    exit: 2,
  },
  console_listen: {
    text: 'the console cannot listen at {listen}: {reason}',
    hint: 'choose another address with --listen',
    exit: 2,
  },
  console_open: {
    text: 'the console address {listen} is not a loopback address, so anybody could steer the swarm',
    hint: 'protect it with --console-token-file, or listen at 127.0.0.1',
    exit: 2,
  },
  setup_failed: {
    text: 'setup of the module failed: {reason}',
    hint: 'no client was connected; the log has the stack',
    exit: 1,
  },
  workers_missing: {
    text: 'not every worker started: {reason}',
    hint: 'the log says what each died of',
    exit: 1,
  },
  engine_unreachable: {
    text: 'no engine answers at {engine}: {reason}',
    hint: '`swarm engine up` starts one; docs/many-machines.md says what the two join lines it prints are for',
    exit: 1,
  },
  engine_refused: {
    text: 'the engine at {engine} refuses: {reason}',
    hint: 'use the credentials file that `swarm engine up` wrote for this role; an engine of your own needs JetStream',
    exit: 2,
  },
  bad_credentials: {
    text: 'the credentials file {file} cannot be used: {reason}',
    hint: '`swarm engine up` writes one for each agent, for leaders and for viewers, with mode 0600',
    exit: 2,
  },
  engine_dir: {
    text: 'the folder of the engine, {dir}, cannot be used: {reason}',
    hint: 'make room there, or name another one with --dir; it holds keys, so nobody else may read it',
    exit: 2,
  },
  engine_missing: {
    text: 'nats-server cannot be started: {reason}',
    hint: 'install it (`apt install nats-server`), or join an engine that runs elsewhere',
    exit: 2,
  },
  engine_listen: {
    text: 'the engine cannot listen at {listen}: {reason}',
    hint: 'another engine may be running there; choose another address with --listen',
    exit: 2,
  },
  engine_certificates: {
    text: 'the certificates that an engine beyond loopback needs cannot be made: {reason}',
    hint: 'install OpenSSL 3 (`apt install openssl`), or listen at 127.0.0.1',
    exit: 2,
  },
  engine_failed: {
    text: 'nats-server ended: {reason}',
    hint: 'start it again; what it stored is in the folder',
    exit: 1,
  },
  agent_twice: {
    text: 'another process plays as agent {agent}: {reason}',
    hint: 'give each agent credentials of its own: `swarm engine up --agents` writes more',
    exit: 1,
  },
  no_run: {
    text: 'no run is going on in this swarm',
    hint: '`swarm run --join` begins one; --name says which swarm is meant',
    exit: 1,
  },
  no_summary: {
    text: 'no final summary of run {run} is stored in this swarm',
    hint: 'a run has one once it has ended; --name says which swarm is meant',
    exit: 1,
  },
  no_series: {
    text: 'no per-second data of run {run} is stored in this swarm, or it is too old',
    hint: 'a run has it from its first seconds on, if the engine has 128 MiB of room for it; --name says which swarm is meant',
    exit: 1,
  },
  bad_document: {
    text: 'what is stored in this swarm cannot be read: {what}',
    hint: 'somebody with the credentials of a leader wrote it, or another version of swarm; `swarm run --join` begins anew',
    exit: 1,
  },
  version_skew: {
    text: 'run {run} is of swarm {theirs}, this is swarm {ours}',
    hint: 'use the same version on all machines',
    exit: 2,
  },
  run_exists: {
    text: 'the run {run} is going on in this swarm, its console is at {console}',
    hint: '`swarm attach --join` joins it; another --name makes another swarm',
    exit: 2,
  },
  engine_lost: {
    text: 'the engine did not take what was written: {reason}',
    hint: 'see whether `swarm engine up` is running, can be reached from here and has room on its disk',
    exit: 1,
  },
  internal: {
    text: 'swarm itself failed: {reason}',
    hint: 'this is a bug of swarm: please report it with the log',
    exit: 1,
  },
} as const satisfies Record<string, { text: string; hint: string; exit: 1 | 2 }>;

export type FaultCode = keyof typeof FAULTS;

/**
 * How a call, a round or a connection of a client fails, by the code it is counted under. Errno codes of the system
 * (`ECONNREFUSED`, `ECONNRESET`, …) are counted beside these.
 */
export const FAILURES = {
  connect_timeout: 'no connection within --connect-timeout, or no TLS handshake within it',
  server_closed: 'the server closed the connection (FIN) while it was in use',
  timeout: 'no whole reply within --reply-timeout, or the bytes of a send did not drain in that time',
  idle_timeout: 'no byte went either way for --idle-timeout',
  max_lifetime: 'the connection reached its --max-lifetime while a call outside any round was open',
  wrong_reply: 'the module said the server answered wrongly: wrong_reply(…)',
  reply_too_large: 'a reply longer than --max-reply',
  unread_bytes:
    'a request went out while bytes of the server waited that nobody had read: counted, and nothing fails; replies may be taken for the wrong requests',
  closed: 'the module closed the connection itself while another call was open',
  killed: 'the client was taken away (decr, stop) while it was connecting or in a round',
  fatal: 'code of the module threw: a bug in the module, see its stack in the log',
  bad_parser: 'a function parser returned something that is not a non-negative integer',
  bad_call:
    'a FakeClient method was called with arguments it cannot take, or while another call without `messages` was open',
  worker_died: 'a worker process died by itself or was killed by somebody else; what it held is counted as lost',
  worker_stalled: 'a worker process did not answer for --stall-timeout, or for 2 s while the run ended, and was killed',
} as const satisfies Record<string, string>;

export type FailureCode = keyof typeof FAILURES;

/**
 * A fault with a code from {@link FAULTS}. Its message is ready to be shown: what was asked, what happened, what to do
 * next.
 */
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

/** The first line of anything thrown. Never throws itself. */
export function reason_of(error: unknown): string {
  try {
    return (error instanceof Error ? error.message || error.name : String(error)).split('\n', 1)[0] ?? '';
  } catch {
    return 'an error that cannot be printed';
  }
}
