/** The options of what is played, against whom, by how many and how fast. */
import { MAX_WORKERS } from '../foundation/open-files.ts';
import { MAX_TARGET } from '../grammar/command.ts';
import { MAX_LOAD_TEXT } from '../grammar/load-text.ts';
import { option, RUNS } from './option-row.ts';
import { duration, FILE, FOLDER, integer, or_word, rate, SEGMENT, SERVER, TRUE_OR_FALSE, words } from './shapes.ts';

const MAX_BACKLOG = 10_000_000;

export const LOAD_OPTIONS = {
  script: option({
    flags: '-s, --script <file>',
    help: 'the script (YAML) that every client loops',
    group: 'What to play',
    commands: [...RUNS, 'try', 'check', 'limits'],
    shape: FILE,
  }),
  protocol_dir: option({
    flags: '-p, --protocol-dir <dir>',
    help: 'where its protocol module is',
    otherwise: "protocols/ beside the script's folder, else that folder",
    group: 'What to play',
    commands: [...RUNS, 'try', 'check', 'limits'],
    shape: FOLDER,
  }),
  load: option({
    flags: '--load <steps>',
    help: "what to play by itself, instead of the script's own load: 'set 1000 over 30s; hold 5m; stop'",
    otherwise: "the script's, else none",
    group: 'What to play',
    commands: [...RUNS, 'check'],
    shape: words(`steps of a load, at most ${MAX_LOAD_TEXT} characters`, MAX_LOAD_TEXT),
  }),
  seed: option({
    flags: '--seed <text>',
    help: 'draws the same random numbers again',
    otherwise: 'a new one, told in the summary',
    group: 'What to play',
    commands: [...RUNS, 'try'],
    shape: words('a text of 1 to 256 characters', 256),
  }),
  server: option({
    flags: '-r, --server <host:port>',
    help: 'the server, also tls://host:port or unix:/path; several share the clients evenly',
    group: 'Where to connect',
    commands: [...RUNS, 'try', 'limits'],
    shape: SERVER,
    many: true,
    by_command: { try: { help: 'the server, also tls://host:port or unix:/path; of several the first' } },
  }),
  bind: option({
    flags: '--bind <addresses>',
    help: 'connect from these, in turn: an address, 10.0.0.1-10.0.0.9, 10.0.0.0/28 or eth0; may be given several times',
    group: 'Where to connect',
    commands: ['run', 'try', 'limits', 'agent'],
    shape: words('an address, a range, a net or the name of an interface', 100),
    many: true,
  }),
  workers: option({
    flags: '--workers <n|auto>',
    help: 'processes that hold clients; 0: this one alone, auto: one a core, and more while the target needs them',
    group: 'How many and how fast',
    commands: ['run', 'limits', 'agent'],
    fallback: '0',
    shape: or_word(integer(0, MAX_WORKERS, ', or auto'), 'auto', 'auto' as const),
    by_command: {
      agent: {
        help: 'processes that hold clients; auto (or 0): one a core, and more while its share needs them',
        fallback: 'auto',
      },
    },
  }),
  max_workers: option({
    flags: '--max-workers <n>',
    help: 'how many processes --workers auto may start',
    group: 'How many and how fast',
    commands: ['run', 'limits', 'agent'],
    fallback: String(MAX_WORKERS),
    shape: integer(1, MAX_WORKERS),
  }),
  max_connections: option({
    flags: '--max-connections <n>',
    help: 'a number of clients that no command of the console can exceed',
    otherwise: 'none',
    group: 'How many and how fast',
    commands: [...RUNS, 'limits', 'agent', 'attach'],
    shape: integer(1, MAX_TARGET),
    by_command: { agent: { help: 'a number of clients that it never holds more than' } },
  }),
  connect_rate: option({
    flags: '--connect-rate <n>',
    help: 'connects per second over the whole swarm',
    group: 'How many and how fast',
    commands: RUNS,
    fallback: '1000',
    shape: rate('1000 or 0.5'),
  }),
  max_connect_rate: option({
    flags: '--max-connect-rate <n>',
    help: 'a connect rate that nobody can exceed, the console neither',
    otherwise: 'none',
    group: 'How many and how fast',
    commands: [...RUNS, 'attach'],
    shape: rate('1000 or 0.5'),
  }),
  max_backlog: option({
    flags: '--max-backlog <n>',
    help: 'rounds of an action with a rate that wait in a process when no client is free; older ones are dropped',
    otherwise: 'as many as are due in a second, at least 1000',
    group: 'How many and how fast',
    commands: ['run'],
    shape: integer(1, MAX_BACKLOG),
  }),
  strict: option({
    flags: '--strict',
    help: 'exit code 98 if the load was not played as planned: swarm was saturated, or slots of a rate were dropped or lost',
    group: 'How many and how fast',
    commands: RUNS,
    fallback: 'false',
    shape: TRUE_OR_FALSE,
    is_switch: true,
  }),
  segment: option({
    flags: '--segment <part>',
    help: 'hold only this part, others with the same --seed the rest: 2/5 or 1/4:1/2',
    otherwise: 'the whole',
    group: 'How many and how fast',
    commands: ['run'],
    shape: SEGMENT,
  }),
  drain_timeout: option({
    flags: '--drain-timeout <time>',
    help: 'how long stop waits for clients to finish their round',
    group: 'How many and how fast',
    commands: RUNS,
    fallback: '10s',
    shape: duration('a time up to 24h, such as 0, 1.5 (seconds), 500ms, 2s or 1m', () => true),
  }),
  stall_timeout: option({
    flags: '--stall-timeout <time>',
    help: 'a worker silent for so long is killed and replaced; what it held is counted as lost',
    group: 'How many and how fast',
    commands: ['run', 'agent'],
    fallback: '30s',
    // shorter would take one that is busy for one that hangs
    shape: duration('a time from 5s up to 24h, such as 30 (seconds) or 5m', (ms) => ms >= 5000),
  }),
};
