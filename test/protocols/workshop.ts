/** A folder of its own for a test that bundles modules: files in, module out, gone afterwards. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { bundle_modules } from '../../src/protocols/bundle.ts';
import { load_modules, type Exports } from '../../src/protocols/import-module.ts';

export class Workshop {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'swarm-bundle-')));
  readonly protocols = join(this.root, 'protocols');
  readonly out = join(this.root, 'out');
  /** swarm's own index.js, as `npm run build` would make it */
  readonly host = join(this.root, 'host/index.mjs');

  constructor() {
    for (const folder of [this.protocols, this.out]) mkdirSync(folder);
    this.file('package.json', '{}'); // no package.json above this folder says what its files are
  }

  async make_host(): Promise<void> {
    const entry = resolve(import.meta.dirname, '../../src/index.ts');
    await build({ entryPoints: [entry], bundle: true, format: 'esm', platform: 'node', outfile: this.host });
  }

  /** Writes a file, its path relative to the root. */
  file(path: string, text: string | Uint8Array): string {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  bundle(protocol: string, dir = this.protocols): Promise<{ path: string; sha256: string }> {
    return this.bundle_all([protocol], dir);
  }

  bundle_all(protocols: readonly string[], dir = this.protocols): Promise<{ path: string; sha256: string }> {
    return bundle_modules({ protocols, dir, host_entry: this.host, out_dir: this.out });
  }

  async load(protocol: string, dir = this.protocols): Promise<Exports> {
    return (await this.load_all([protocol], dir)).get(protocol)!;
  }

  async load_all(protocols: readonly string[], dir = this.protocols): Promise<Map<string, Exports>> {
    return load_modules((await this.bundle_all(protocols, dir)).path, protocols);
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
