/** One swarm of many machines does what one process does, and its numbers are those of its machines added up. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterEach, describe, expect, it } from 'vitest';
import type { LatencyPart } from '../../../src/machines/store/documents.ts';
import { read_part } from '../../../src/machines/store/readers.ts';
import { decode_hdr } from '../../../src/metrics/hdr.ts';
import { HIGHEST, lowest_of } from '../../../src/metrics/histogram.ts';
import { MAX_HISTOGRAMS } from '../../../src/metrics/packed.ts';
import type { HistogramSnapshot } from '../../../src/metrics/snapshot.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import { HAS_NATS, until, World } from './kit.ts';

const CLIENTS = 100;
const ROUNDS = 20;
/** what a client sends depends on its seed alone; after its last round it waits for the end */
const MODULE = `import { line } from 'swarm';
export const ping = async (client) => {
  const { memory, random } = client;
  memory.n = (memory.n ?? 0) + 1;
  if (memory.n > ${ROUNDS}) await new Promise(() => undefined);
  return await client.send_for_reply(\`ping 0 \${client.id} 1 \${memory.n} \${random.int(1, 1e9)}\\r\\n\`, line());
};
`;
const SCRIPT =
  'protocol: many\nactions:\n  - command: ping\n    sleep_between_rounds: [0.01, 0.1]\n    sleep_after_action: 0\n';

/** both send the same */
const GROUPS = `protocol: many
groups:
  talkers: { share: 3, actions: [{ command: ping, sleep_between_rounds: [0.01, 0.1], sleep_after_action: 0 }] }
  listeners:
    share: 2
    protocol: other
    actions: [{ command: ping, name: hear, sleep_between_rounds: { mean: 0.05, distribution: exponential } }]
`;
/** A group's: of connects, handshakes, its action, `connected`. */
const HISTOGRAMS = 6;

let world: World;
afterEach(() => world.close());

/** All that does not depend on time. */
const counts_of = ({ clients, connections, requests, bytes, actions, target }: Summary): unknown => ({
  target,
  created: clients.created,
  killed: clients.killed,
  connections: [connections.attempted, connections.established, connections.failed, connections.closed],
  requests,
  bytes,
  actions: actions.map(({ command, action, group, loop, started, ok, failed, aborted, lost }) => ({
    named: [group, loop, action],
    command,
    started,
    ok,
    failed,
    aborted,
    lost,
  })),
  measured: actions.map(({ service_ms, response_ms }) => [service_ms.count, response_ms.count]),
  connected: connections.connect_ms.count,
});

const running_in = ({ actions }: Summary): number => actions.reduce((all, { running }) => all + running, 0);

describe.skipIf(!HAS_NATS)('five agents', () => {
  it.each([
    ['one group', SCRIPT],
    ['two groups with a module each', GROUPS],
  ])('send what one process sends, count as it does, and their histograms are added: %s', async (_, script_text) => {
    world = await World.open({ module: MODULE, script: script_text });
    world.place.write('protocols/other.js', MODULE);
    let lines: string[] = [];
    world.on_request = (line) => lines.push(line);
    const all_sent = (): Promise<number> => until('all rounds', () => lines.length >= CLIENTS * ROUNDS);

    const file = join(world.place.folder, 'one.json');
    const server = `127.0.0.1:${world.ledger.port}`;
    const script = join(world.place.folder, 'scripts/many.yml');
    const alone = world.place.swarm(
      '-r',
      server,
      '-s',
      script,
      '-l',
      '127.0.0.1:0',
      '--seed',
      'same',
      '--summary',
      file,
    );
    const session = await alone.console();
    expect(await session.ask(`incr ${CLIENTS}`)).toEqual([`OK target ${CLIENTS}`]);
    await all_sent();
    const waiting = async (): Promise<boolean> => {
      const status = JSON.parse((await session.ask('status json'))[0]!.slice(3)) as Summary;
      return running_in(status) === CLIENTS;
    };
    await until('all wait for the end', waiting);
    await session.ask('stop now');
    expect(await alone.exited, alone.err).toBe(0);
    await world.ledger.settled();
    const one = JSON.parse(readFileSync(file, 'utf8')) as Summary;
    const [sent, books] = [lines, world.ledger.books()];
    lines = [];

    await world.all_agents(5);
    const lead = await world.run('--seed', 'same');
    expect(await lead.ask(`incr ${CLIENTS}`)).toBe(`OK target ${CLIENTS}`);
    await all_sent();
    await until('all wait for the end', async () => running_in(await lead.status()) === CLIENTS);
    expect(await lead.ask('stop now')).toMatch(/^OK stopping now/);
    expect(await lead.swarm.exited, lead.swarm.err).toBe(0);
    await world.ledger.settled();
    const many = JSON.parse(readFileSync(lead.file, 'utf8')) as Summary;

    expect(lines.length).toBe(CLIENTS * ROUNDS);
    expect(lines.toSorted()).toEqual(sent.toSorted());
    expect(counts_of(many)).toEqual(counts_of(one));
    expect(many.requests.sent).toBe(books.requests);
    expect(world.ledger.books().requests).toBe(2 * books.requests);
    expect(many.bytes.sent).toBe(books.bytes.received);

    await world.expect_course(many);
    const stored = (await world.list('latencies.')).map((part) => read_part(JSON.stringify(part)) as LatencyPart);
    const parts = stored.filter(({ run }) => run === many.run.id);
    expect(parts.length).toBe(5);
    // an agent whose workers have ended has what they measured among its dead
    const of = (wanted: number): HistogramSnapshot[] =>
      parts.flatMap(({ histograms }) =>
        histograms.flatMap(([number, one]) => (number % MAX_HISTOGRAMS === wanted ? [one] : [])),
      );
    for (const [group, { histograms, ok }] of many.actions.entries()) {
      expect_sum(histograms!.service, of(group * HISTOGRAMS + 2), ok);
      expect_sum(histograms!.response, of(group * HISTOGRAMS + 3), ok);
    }
    expect(many.actions.reduce((all, { ok }) => all + ok, 0)).toBe(CLIENTS * ROUNDS);
    const connects = many.actions.flatMap((_, group) => of(group * HISTOGRAMS));
    expect_sum(many.connections.histograms!.connect, connects, CLIENTS);
  });
});

/** The text holds each of the parts' buckets, added up; and a library that others use reads the percentiles of them all from it. */
function expect_sum(text: string, parts: readonly HistogramSnapshot[], count: number): void {
  const buckets = new Map<number, number>();
  const recorder = build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: 3,
  });
  for (const { indices, counts } of parts) {
    for (const [i, index] of [...indices].entries()) {
      buckets.set(index, (buckets.get(index) ?? 0) + counts[i]!);
      recorder.recordValueWithCount(lowest_of(index), counts[i]!);
    }
  }
  const decoded = decode_hdr(text);
  expect(new Map([...decoded.indices].map((index, i) => [index, decoded.counts[i]!]))).toEqual(buckets);
  const read = decodeFromCompressedBase64(text);
  expect(read.totalCount).toBe(count);
  for (const percentile of [0, 10, 50, 90, 99, 99.9, 100])
    expect(read.getValueAtPercentile(percentile)).toBe(recorder.getValueAtPercentile(percentile));
}
