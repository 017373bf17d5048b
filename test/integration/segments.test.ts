/** Two swarms that know nothing of each other play one, each its segment; what both saw is merged, and the server saw the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger } from '../ledger.ts';
import { Workplace } from './swarm-process.ts';

const SCRIPT = `protocol: lines
actions:
  - command: ping
    sleep_between_rounds: [0.02, 0.1]
    sleep_after_action: 0
`;
const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping ' + client.id + '\\r\\n', line());
`;

let place: Workplace;
let ledger: Ledger;
/** ids by connection */
let seen: Map<number, Set<string>>;

beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  seen = new Map();
  ledger = await start_ledger({
    reply: (text, { id }) => {
      seen.set(id, (seen.get(id) ?? new Set()).add(text.split(' ')[1]!));
      return { text: 'OK' };
    },
  });
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

it('two segments with the same commands and seed are one swarm, in their clients and in their merged summary', async () => {
  const script = place.write('scripts/a.yml', SCRIPT);
  const parts = ['1/3', '1/3:1'].map((segment, i) => {
    const file = join(place.folder, `${i}.json`);
    const common = ['-r', `127.0.0.1:${ledger.port}`, '-s', script, '-l', '127.0.0.1:0', '--seed', 'one'];
    const swarm = place.swarm(...common, '--segment', segment, '--workers', String(i * 2), '--summary', file);
    return { swarm, file, segment };
  });
  const sessions = await Promise.all(parts.map(({ swarm }) => swarm.console()));
  const ask = (line: string): Promise<string[][]> => Promise.all(sessions.map((session) => session.ask(line)));

  expect(await ask('incr 10')).toEqual([
    ['OK target 10 (segment 1/3: 4 here)'],
    ['OK target 10 (segment 1/3:1: 6 here)'],
  ]);
  expect(await ask('wait within 50s')).toEqual([['OK 4 open'], ['OK 6 open']]);
  expect((await ask('status'))[1]![1]).toMatch(/^run, .* since the start, segment 1\/3:1, servers /);
  await ledger.until(({ requests_per_connection }) => requests_per_connection.filter((n) => n > 0).length === 10);
  const ids = [...seen.values()].flatMap((names) => [...names]).map(Number);
  expect(ids.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  // a trace finds a client of the other segment nowhere, and its own by the id of the whole
  const traced = await ask('trace 1 1');
  expect(traced[0]![0]).toBe('OK trace of client 1 in local');
  expect(traced[1]![0]).toMatch(/^ERR no_such_client /);

  await ask('stop');
  for (const { swarm } of parts) expect(await swarm.exited, swarm.err).toBe(0);
  const all = join(place.folder, 'all.json');
  const merge = place.swarm('merge', parts[1]!.file, parts[0]!.file, '--summary', all);
  expect(await merge.exited, merge.err).toBe(0);
  expect(merge.err).toBe('');
  expect(merge.out).toContain('the books balance');
  const merged = JSON.parse(readFileSync(all, 'utf8')) as Summary;
  const books = await ledger.settled();
  expect(merged).toMatchObject({
    target: 10,
    balanced: true,
    complete: true,
    run: { segment: null, seed: 'one' },
    clients: { created: 10, live: 0 },
    connections: { established: books.accepted, open: 0 },
    requests: { sent: books.requests, ok: books.replies },
    bytes: { sent: books.bytes.received, received: books.bytes.sent },
  });
  expect(merged.actions[0]!.service_ms.count).toBe(merged.actions[0]!.ok);
  expect(merged.connections.connect_ms.count).toBe(10);

  const twice = place.swarm('merge', all, parts[0]!.file);
  expect(await twice.exited).toBe(2);
  expect(twice.err).toMatch(/^swarm: .*all\.json and .*0\.json cannot be merged: both hold the run .*summaries_differ/);
  const alone = place.swarm('merge', parts[0]!.file);
  expect(await alone.exited).toBe(0);
  expect(alone.err).toBe('swarm: no summary of segment 1/3:1 is among them: this is not the whole swarm\n');
});
