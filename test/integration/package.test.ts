/** What `npm pack` makes of a fresh clone, installed by somebody who has nothing else: it checks, plays and type-checks a module there. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { start_ledger } from '../ledger.ts';
import { ROOT, SwarmProcess, Workplace } from './swarm-process.ts';

const IN_A_CLONE = [
  'bin',
  'deploy',
  'docs',
  'examples',
  'src',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'README.md',
];
/** a build and two runs of npm: nine minutes beside two other suites */
const INSTALLED_WITHIN_MS = 1_200_000;
const NO_REGISTRY = /\b(ENOTCACHED|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH)\b/;
const MODULE = `import { length_prefixed, reply_parser_crlf, wrong_reply, type FakeClient, type Framer, type ModuleLog } from 'swarm';
export const packet: Framer = length_prefixed({ bytes: 'varint', offset: 1 });
export const setup = ({ log }: { log: ModuleLog }) => log.info('ready');
export async function ping(client: FakeClient, { uid }: { uid: number }) {
  const reply = await client.send_for_reply(\`ping \${uid}\\r\\n\`, reply_parser_crlf());
  if (reply.length === 0) throw wrong_reply(reply);
}
`;

let place: Workplace;
let tarball: string;
/** why nothing could be installed */
let offline = '';
const run = (command: string, args: string[], cwd: string) => spawnSync(command, args, { cwd, encoding: 'utf8' });
const installed = (path: string): string => join(place.folder, 'mine', path);

beforeAll(() => {
  place = new Workplace();
  const clone = join(place.folder, 'clone');
  for (const path of IN_A_CLONE) cpSync(join(ROOT, path), join(clone, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  utimesSync(join(clone, 'package-lock.json'), 0, 0); // what is installed is not older: nothing to install
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', place.folder], {
    cwd: clone,
    stdio: 'pipe',
  });
  tarball = join(place.folder, (JSON.parse(String(said)) as { filename: string }[])[0]!.filename);

  place.write('mine/package.json', '{ "private": true }');
  place.write('mine/protocols/pulse.ts', MODULE);
  place.write('mine/scripts/pulse.yml', 'protocol: pulse\nactions:\n  - command: ping\n    args: { uid: 7 }\n');
  const { status, stderr } = run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball],
    installed('.'),
  );
  if (status !== 0 && NO_REGISTRY.test(stderr)) offline = stderr;
  else expect(stderr.includes('ERR!') ? stderr : status).toBe(0);
}, INSTALLED_WITHIN_MS);
afterAll(() => place.close());

const needs_registry = ({ skip }: TestContext): void => skip(offline !== '', `npm could not install: ${offline}`);

describe('the package', () => {
  it('is built although nobody built it, with all it says it has and nothing it cannot use', () => {
    const files = execFileSync('tar', ['-tf', tarball], { encoding: 'utf8' }).trim().split('\n');
    for (const file of [
      'bin/swarm',
      'dist/cli.js',
      'dist/index.d.ts',
      'deploy/swarm-agent.service',
      'docs/script.md',
      'README.md',
    ])
      expect(files).toContain(`package/${file}`);
    expect(files.filter((file) => /^package\/(src|test|node_modules|bin\/prepare)|tsbuildinfo/.test(file))).toEqual([]);
  });

  it('checks and plays a module in an empty folder', async (context) => {
    needs_registry(context);
    const bin = installed('node_modules/swarm/bin/swarm');
    expect(existsSync(installed('node_modules/.bin/swarm'))).toBe(true);
    const swarm = (...args: string[]) => new SwarmProcess(args, { ...process.env, TMPDIR: place.temporary }, [], bin);
    const script = ['-s', installed('scripts/pulse.yml')];
    const check = swarm('check', ...script);
    expect(await check.exited, check.err).toBe(0);
    const ledger = await start_ledger({});
    const attempt = swarm('try', '-r', `${ledger.host}:${ledger.port}`, ...script);
    expect(await attempt.exited, attempt.err).toBe(0);
    expect(attempt.out).toMatch(/send 8 bytes "ping 7[^]*\nOK\n$/);
    expect((await ledger.settled()).requests).toBe(1);
    await ledger.close();
  });

  it('has types by which a module is checked with what the docs say', (context) => {
    needs_registry(context);
    const said = readFileSync(join(ROOT, 'docs/protocols.md'), 'utf8');
    place.write('mine/tsconfig.json', /^\{ "compilerOptions": .*\}$/m.exec(said)![0]);
    symlinkSync(join(ROOT, 'node_modules/@types'), installed('node_modules/@types'));
    const tsc = (): unknown =>
      run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], installed('.')).stdout;
    expect(tsc()).toBe('');
    const wrong = place.write('mine/protocols/wrong.ts', MODULE.replace("bytes: 'varint'", 'bytes: 5'));
    expect(tsc()).toMatch(/protocols\/wrong\.ts\(2,\d+\): error TS2322/);
    rmSync(wrong);
  });
});
