/** What other tools call executors, phases or settings (docs/load.md, "Coming from"), each played here against a server that counts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger, type LedgerBooks } from '../ledger.ts';
import { Workplace } from './swarm-process.ts';

const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping ' + client.id + '\\r\\n', line());
export const look = (client) => client.send_for_reply('look ' + client.id + '\\r\\n', line());
`;
const PING = '{ command: ping, sleep_between_rounds: 0.05, sleep_after_action: 0 }';
const ACTIONS = `actions: [ ${PING} ]\n`;
const GROUPS = `groups:
  buyers: { share: 80, actions: [ ${PING} ] }
  readers: { share: 20, actions: [ { command: look, sleep_between_rounds: 0.05, sleep_after_action: 0 } ] }
`;

interface Row {
  readonly script?: string;
  readonly load: string;
  /** clients that were made, and the most that were open at once */
  readonly made: number;
  readonly most?: number;
  readonly done?: number;
  readonly check?: (summary: Summary, books: LedgerBooks) => void;
}

const rounds = ({ actions }: Summary, group?: string): number =>
  actions.filter((action) => group === undefined || action.group === group).reduce((all, { ok }) => all + ok, 0);

const ROWS: Record<string, Row> = {
  'k6 constant-vus': { load: 'set 8; hold 1s; stop', made: 8 },
  'k6 ramping-vus': { load: 'set 2; set 10 over 500ms; set 4 over 500ms; stop', made: 10, most: 10 },
  'k6 gracefulRampDown': { load: 'set 6; hold 300ms; decr 6 graceful over 500ms; hold 500ms; stop', made: 6, done: 6 },
  'k6 per-vu-iterations': {
    script: `${ACTIONS}iterations: 5\n`,
    load: 'set 6; wait done within 50s; stop',
    made: 6,
    done: 6,
    check: (summary) => expect(rounds(summary)).toBe(30),
  },
  'k6 shared-iterations': {
    script: `${ACTIONS}iterations_in_all: 32\n`,
    load: 'set 6; wait done within 50s; stop',
    made: 6,
    done: 6,
    check: (summary) => expect(rounds(summary)).toBe(32),
  },
  'k6 constant-arrival-rate of sessions': {
    script: `${ACTIONS}iterations: 1\n`,
    load: 'incr 20 over 1s; wait done within 50s; stop',
    made: 20,
    done: 20,
    check: (summary) => expect(rounds(summary)).toBe(20),
  },
  'k6 scenarios': {
    script: GROUPS,
    load: 'set 2 in buyers over 300ms & set 7 in readers; hold 500ms; stop',
    made: 9,
    check: (summary) => {
      expect(rounds(summary, 'readers')).toBeGreaterThan(rounds(summary, 'buyers'));
      expect(rounds(summary, 'buyers')).toBeGreaterThan(0);
    },
  },
  'k6 startTime': { load: 'hold 500ms; set 3; hold 300ms; stop', made: 3 },
  'amoc interarrival': { load: 'connect-rate 20; set 10; wait within 50s; stop', made: 10 },
  'amoc add and remove': { load: 'incr 5; hold 200ms; incr 4; hold 200ms; decr 9; hold 200ms; stop', made: 9, most: 9 },
  'amoc repeat_num and repeat_interval': {
    script: `${ACTIONS}iterations: 3\nsleep_between_iterations: 0.1\n`,
    load: 'set 4; wait done 4 within 50s; stop',
    made: 4,
    done: 4,
    check: (summary) => expect(rounds(summary)).toBe(12),
  },
  'tsung phases, repeated': {
    load: 'repeat 2 (incr 3 over 200ms; incr 2 over 100ms; hold 400ms; decr 5; hold 400ms); stop',
    made: 10,
    most: 5,
  },
  'tsung user with a start_time': {
    script: GROUPS,
    load: 'set 5; hold 300ms; incr 1 in readers; hold 300ms; stop',
    made: 6,
  },
  'tsung session probability': {
    script: GROUPS,
    load: 'set 10; wait ready within 50s; hold 1s; stop',
    made: 10,
    check: (summary) => expect(rounds(summary, 'buyers')).toBeGreaterThan(2 * rounds(summary, 'readers')),
  },
  'tsung thinktime': {
    script: 'actions: [ { command: ping, sleep_between_rounds: { mean: 0.05, distribution: exponential } } ]\n',
    load: 'set 5; hold 500ms; stop',
    made: 5,
  },
};

let place: Workplace;
let ledger: Ledger;
beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  ledger = await start_ledger();
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

it.each(Object.entries(ROWS))('%s', async (_, { script = ACTIONS, load, made, most, done = 0, check }) => {
  const file = join(place.folder, 'summary.json');
  const at = ['-r', `127.0.0.1:${ledger.port}`, '-s', place.write('scripts/a.yml', `protocol: lines\n${script}`)];
  const swarm = place.swarm('run', ...at, '-l', '127.0.0.1:0', '--summary', file, '--load', load);
  expect(await swarm.exited, swarm.err).toBe(0);
  const books = await ledger.settled();
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  expect(summary).toMatchObject({ balanced: true, complete: true, load: { state: 'over' } });
  expect(summary.clients).toMatchObject({ created: made, done });
  if (most !== undefined) expect(books.open_peak).toBeLessThanOrEqual(most);
  expect(summary.requests.sent).toBe(books.requests);
  check?.(summary, books);
});
