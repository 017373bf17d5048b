/** The fixtures as files that node runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

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

/** Resolves as soon as `check` holds; throws after 10 s. */
export async function eventually(check: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !check();) {
    if (performance.now() > end) throw new Error(`not within 10 s: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function is_alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
