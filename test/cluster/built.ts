/** The fixtures as files that node runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { until } from '../patience.ts';

export interface Built {
  readonly worker: string;
  readonly daemon: string;
  remove(): Promise<void>;
}

export async function build_fixtures(): Promise<Built> {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-cluster-'));
  await build({
    entryPoints: ['worker', 'daemon'].map((name) => join(import.meta.dirname, `fixture-${name}.ts`)),
    bundle: true,
    platform: 'node',
    format: 'esm',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    logLevel: 'silent',
  });
  return {
    worker: join(folder, 'fixture-worker.mjs'),
    daemon: join(folder, 'fixture-daemon.mjs'),
    remove: () => rm(folder, { recursive: true }),
  };
}

export const eventually = (check: () => boolean): Promise<number> => until(check.toString(), check);

export function is_alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
