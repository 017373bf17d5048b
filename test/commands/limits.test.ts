import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { run_limits } from '../../src/commands/limits.ts';
import { Output } from '../../src/foundation/output.ts';
import { processes_of, watch_bounds } from '../../src/launch/demand.ts';
import type { OptionName } from '../../src/options/options.ts';
import { parse_options, type Given } from '../../src/options/parse-options.ts';

async function limits(given: Partial<Record<OptionName, string[]>>): Promise<string[]> {
  const chunks: string[] = [];
  const out = new Output(new Writable({ write: (chunk, _, done) => (chunks.push(String(chunk)), done()) }));
  const rows = Object.entries(given).map(([name, texts]): [string, Given] => [name, { texts, from: 'flag' }]);
  const result = parse_options(Object.fromEntries(rows), 'limits');
  if ('faults' in result) throw result.faults[0]!;
  expect(await run_limits(result.options, { out, err: out, colour: { out: false, err: false } })).toBe(0);
  await out.flush(1000);
  return chunks.join('').trimEnd().split('\n');
}

describe('swarm limits', () => {
  it('prints a table with a legend, without any option', async () => {
    const lines = await limits({});
    expect(lines[0]).toMatch(/^what +connections +why +to lift it$/);
    expect(lines.find((line) => line.startsWith('local ports'))).toContain('1 source address x 1 server address');
    expect(lines.at(-2)).toBe(
      '~ marks an estimate; at the other numbers the system refuses more; with --script the CPU is estimated too',
    );
    expect(lines.at(-1)).toMatch(/a server that sends without end holds it up; --workers 1 against servers/);
  });

  it('counts what the options say', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'swarm-limits-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const script = join(folder, 'script.yml');
    writeFileSync(script, 'protocol: p\nactions:\n  - command: go\n');
    writeFileSync(join(folder, 'p.mjs'), 'export const go = () => undefined;\nexport const max_reply = 2e6;\n');
    const lines = await limits({
      server: ['127.0.0.1:7000', '127.0.0.1:7001'],
      bind: ['127.0.0.1-127.0.0.3'],
      workers: ['4'],
      max_connections: ['10'],
      script: [script],
    });
    expect(lines[1]).toMatch(/^--max-connections +10 /);
    expect(lines.find((line) => line.startsWith('local ports'))).toContain('3 source addresses x 2 server addresses');
    expect(lines.join('\n')).toMatch(/^CPU +~\d+ /m);
    expect(lines.join('\n')).toContain('with a reply of 2.0 MB to come in each');
    expect(lines.join('\n')).not.toContain('--script adds');
    expect(lines.join('\n')).not.toContain('--workers 1');
  });

  it('has the faults of a run', async () => {
    await expect(limits({ bind: ['192.0.2.77'] })).rejects.toMatchObject({ code: 'bad_bind' });
    await expect(limits({ script: ['no-such.yml'] })).rejects.toMatchObject({ code: 'no_script' });
  });
});

describe('processes_of', () => {
  it('tells how many there are at once, and at most', () => {
    expect(processes_of({ workers: 0, max_workers: 64 })).toEqual({ first: 1, most: 1, forked: false });
    expect(processes_of({ workers: 3, max_workers: 64 })).toEqual({ first: 3, most: 3, forked: true });
    expect(processes_of({ workers: 'auto', max_workers: 1 })).toEqual({ first: 1, most: 1, forked: true });
    expect(processes_of({ workers: 'auto', max_workers: 64 })).toMatchObject({ most: 64, forked: true });
  });
});

describe('watch_bounds', () => {
  it('reads the facts once a second at most', () => {
    let [now, reads] = [0, 0];
    const demand = {
      sources: { addresses: [], excluded_ports: [], kernel_ports: [32_768, 60_999] as const, offset: 0 },
      endpoints: [[null]],
      processes: { first: 1, most: 1, forked: false },
      messages_per_s: null,
      max_reply_bytes: 1024,
      max_connections: 5,
    };
    const bounds = watch_bounds(
      demand,
      () => ({ cores: ++reads }),
      () => now,
    );
    const ask = (): unknown => bounds({ open: 0, rss_bytes: 0, workers: 1 });
    expect(ask()).toMatchObject([{ connections: 5 }]);
    now = 999;
    ask();
    expect(reads).toBe(1);
    now = 1000;
    ask();
    expect(reads).toBe(2);
  });
});
