import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { MAX_STORE_BYTES } from '../src/engine/configuration.ts';
import { VERSION } from '../src/foundation/version.ts';
import { COMMANDS, type CommandName } from '../src/options/option-row.ts';
import { flag_of, OPTION_NAMES, OPTIONS, takes, variable_of } from '../src/options/options.ts';

// As far as files can be judged without a cluster, an image or a running systemd: docs/deploy.md says what of them was never run.
const ROOT = join(import.meta.dirname, '..');
const DEPLOY = join(ROOT, 'deploy');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: { name: string }[];
  ports?: { name: string }[];
  securityContext: { allowPrivilegeEscalation: boolean };
  volumeMounts: { name: string; mountPath: string }[];
}
interface Pod {
  metadata: { labels: Labels };
  spec: {
    securityContext: { runAsNonRoot: boolean };
    terminationGracePeriodSeconds: number;
    initContainers?: Container[];
    containers: Container[];
    volumes: { name: string }[];
  };
}
type Labels = Record<string, string>;
interface Manifest {
  file: string;
  apiVersion: string;
  kind: string;
  metadata: { name?: string; generateName?: string };
  spec?: {
    selector?: Labels | { matchLabels: Labels };
    serviceName?: string;
    ports?: { targetPort: string }[];
    template?: Pod;
    volumeClaimTemplates?: { metadata: { name: string }; spec: { resources: { requests: { storage: string } } } }[];
  };
}

const FOLDER = join(DEPLOY, 'kubernetes');
const manifests = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.yml'))
  .flatMap((file) => loadAll(readFileSync(join(FOLDER, file), 'utf8')).map((doc) => ({ ...(doc as Manifest), file })));
const workloads = manifests.filter(({ spec }) => spec?.template);
const pods = workloads.map(({ file, spec }) => ({ file, spec: spec!, pod: spec!.template! }));
const containers = pods.flatMap(({ pod: { spec } }) => [...(spec.initContainers ?? []), ...spec.containers]);
const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

/** What is wrong with the words behind `swarm`, or with the names of variables that it is given. */
function faults_of(words: readonly string[], variables: readonly string[] = []): string[] {
  const command = command_of(words);
  if (command === undefined) return [`no command ${words[0]}`];
  const faults: string[] = [];
  const given = words.slice(command === 'engine up' ? 2 : 1);
  for (let i = 0; i < given.length; i++) {
    const [flag = '', joined] = given[i]!.split(/=(.*)/s);
    const name = OPTION_NAMES.find((one) => flag_of(one) === flag && takes(command, one));
    const value = joined ?? given[++i] ?? '';
    if (name === undefined) faults.push(`${command} takes no option ${flag}`);
    // systemd puts its own in place of these
    else if (!value.startsWith('${') && OPTIONS[name].shape.parse(value) === undefined)
      faults.push(`${flag} does not take its value`);
  }
  const known = OPTION_NAMES.filter((name) => takes(command, name)).map(variable_of);
  return [...faults, ...variables.filter((one) => !known.includes(one))];
}

function command_of([first, ...rest]: readonly string[]): CommandName | undefined {
  if (first === 'engine' && rest[0] === 'up') return 'engine up';
  if (first === 'run') return rest.some((word) => /^--(join|credentials)\b/.test(word)) ? 'run --join' : 'run';
  return COMMANDS.find((command) => command === first);
}

describe('deploy/kubernetes', () => {
  it('has manifests with what each must have', () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(
      [
        'Job',
        'Job',
        'Namespace',
        'NetworkPolicy',
        'Service',
        'Service',
        'Service',
        'StatefulSet',
        'StatefulSet',
      ].sort(),
    );
    for (const { file, apiVersion, kind, metadata } of manifests) {
      expect(apiVersion, file).toMatch(/^(v1|apps\/v1|batch\/v1|networking\.k8s\.io\/v1)$/);
      expect(metadata.name ?? metadata.generateName, `${kind} in ${file}`).toMatch(/^[a-z][a-z-]*$/);
    }
  });

  it('applies together what stays, and leaves out what is one run', () => {
    const [{ resources }] = loadAll(readFileSync(join(FOLDER, 'kustomization.yaml'), 'utf8')) as [
      { resources: string[] },
    ];
    const files = [...new Set(manifests.map(({ file }) => file))];
    expect([...resources, 'run.yml', 'attach.yml'].sort()).toEqual(files.sort());
  });

  it('selects the pods that it means', () => {
    for (const { file, spec, pod } of pods) {
      const { matchLabels = {} } = (spec.selector ?? {}) as { matchLabels?: Labels };
      expect(selects(matchLabels, pod.metadata.labels), file).toBe(true);
    }
    const services = manifests.filter(({ kind }) => kind === 'Service');
    for (const { file, spec } of services) {
      const chosen = pods.filter(({ pod }) => selects(spec!.selector as Labels, pod.metadata.labels));
      expect(chosen.length, file).toBeGreaterThan(0);
      const ports = chosen.flatMap(({ pod }) => pod.spec.containers.flatMap((one) => one.ports ?? []));
      for (const { targetPort } of spec!.ports ?? []) expect(ports.map(({ name }) => name)).toContain(targetPort);
    }
    for (const { spec } of pods)
      if (spec.serviceName) expect(services.map(({ metadata }) => metadata.name)).toContain(spec.serviceName);
  });

  it('pins every image: swarm to this version, others to a whole one', () => {
    for (const { image } of containers)
      expect(image).toMatch(new RegExp(`^(swarm:${VERSION}|nats:\\d+\\.\\d+\\.\\d+-alpine)$`));
  });

  it('mounts what is there, all of it, and gives no rights away', () => {
    for (const { file, spec, pod } of pods) {
      const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
      const there = [...pod.spec.volumes, ...(spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata)];
      const mounted = new Set(all.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name)));
      expect([...mounted].sort(), file).toEqual(there.map(({ name }) => name).sort());
      expect(pod.spec.securityContext.runAsNonRoot, file).toBe(true);
      expect(all.map(({ securityContext }) => securityContext.allowPrivilegeEscalation)).not.toContain(true);
    }
  });

  it('asks for more disk than an engine may fill', () => {
    const claims = manifests.flatMap(({ spec }) => spec?.volumeClaimTemplates ?? []);
    expect(claims).toHaveLength(1);
    const [, gib] = /^(\d+)Gi$/.exec(claims[0]!.spec.resources.requests.storage)!;
    expect(Number(gib) * 2 ** 30).toBeGreaterThan(1.1 * MAX_STORE_BYTES);
  });

  it('gives swarm commands, and options and variables that they take, and files of its mounts', () => {
    const own = containers.filter(({ image, command }) => image.startsWith('swarm:') && !command);
    expect(own).toHaveLength(3);
    for (const { args = [], env = [], volumeMounts } of own) {
      expect(
        faults_of(
          args,
          env.map(({ name }) => name),
        ),
      ).toEqual([]);
      const paths = args.map((word) => word.replace(/^--[a-z-]+=/, '')).filter((word) => word.startsWith('/'));
      for (const path of paths)
        expect(
          volumeMounts.some(({ mountPath }) => path.startsWith(mountPath)),
          path,
        ).toBe(true);
    }
  });

  it('leaves agents and coordinators the time they take to end', () => {
    for (const { file, pod } of pods)
      if (file !== 'engine.yml') expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(45);
  });

  it('gives each agent the identity of its number, as a file that swarm takes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'swarm-deploy-'));
    try {
      for (const name of ['identities', 'own']) mkdirSync(join(folder, name));
      for (const n of ['01', '10', '100'])
        writeFileSync(join(folder, 'identities', `agent-${n}.json`), n, { mode: 0o440 });
      const { command, args } = containers.find(({ args }) => args?.[0]?.includes('POD_NAME'))!;
      const script = args![0]!
        .replace('/identities', join(folder, 'identities'))
        .replace('/run/swarm', join(folder, 'own'));
      for (const [pod, n] of Object.entries({
        'swarm-agent-0': '01',
        'swarm-agent-9': '10',
        'swarm-agent-99': '100',
      })) {
        const { status, stderr } = spawnSync(command![0]!, [...command!.slice(1), script], {
          env: { ...process.env, POD_NAME: pod },
          encoding: 'utf8',
        });
        expect([status, stderr]).toEqual([0, '']);
        expect(readFileSync(join(folder, 'own/agent.json'), 'utf8')).toBe(n);
        expect(statSync(join(folder, 'own/agent.json')).mode & 0o777).toBe(0o600);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('deploy/*.service', () => {
  const units = readdirSync(DEPLOY).filter((file) => file.endsWith('.service'));

  it.each(units)('%s has the known sections, and options that the command takes', (file) => {
    const text = read(`deploy/${file}`);
    expect([...text.matchAll(/^\[(.*)\]$/gm)].map(([, name]) => name)).toEqual(['Unit', 'Service', 'Install']);
    for (const line of text.split('\n')) expect(line).toMatch(/^(|#.*|\[\w+\]|[A-Z][A-Za-z]+=.*)$/);
    const [, words = ''] = /^ExecStart=\/usr\/local\/bin\/swarm (.*)$/m.exec(text) ?? [];
    expect(faults_of(words.split(' '))).toEqual([]);
    expect(Number(/^LimitNOFILE=(\d+)$/m.exec(text)?.[1])).toBeGreaterThanOrEqual(65_536);
  });

  it('copies the credentials to a file that swarm takes', () => {
    const text = read('deploy/swarm-agent.service');
    expect(text).toMatch(/^LoadCredential=agent\.json:\/etc\/swarm\/agent\.json$/m);
    const copied = '${RUNTIME_DIRECTORY}/agent.json';
    expect(text).toContain(`ExecStartPre=/usr/bin/install -m 0600 \${CREDENTIALS_DIRECTORY}/agent.json ${copied}\n`);
    expect(text).toContain(`--credentials ${copied}\n`);
  });

  const { error } = spawnSync('systemd-analyze', ['--version']);
  it.skipIf(error)('is what systemd-analyze takes', () => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', ...units.map((file) => join(DEPLOY, file))], {
      encoding: 'utf8',
    });
    const said = stderr
      .split('\n')
      .filter((line) => line !== '' && !line.includes('/usr/local/bin/swarm is not executable'));
    expect(said.filter((line) => /swarm-\w+\.service/.test(line))).toEqual([]);
  });
});

describe('deploy/Dockerfile', () => {
  const lines = read('deploy/Dockerfile').split('\n');
  const words = (instruction: string): string[][] =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.split(' ').slice(1));

  it('begins with a whole version of Node that swarm runs on', () => {
    for (const [image = ''] of words('FROM')) expect(image).toMatch(/^node:20\.(19|[2-9]\d)\.\d+-bookworm-slim$/);
  });

  it('copies files that are there, and that the ignore file lets through', () => {
    const let_through = read('deploy/Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    const copied = words('COPY')
      .filter(([first]) => !first!.startsWith('--from'))
      .flatMap((all) => all.slice(0, -1));
    expect([...new Set(copied)].sort()).toEqual(let_through.map((line) => line.slice(1)).sort());
    for (const path of copied) expect(existsSync(join(ROOT, path)), path).toBe(true);
  });

  it('has in it what the package has, and starts that as nobody special', () => {
    const { files, scripts } = JSON.parse(read('package.json')) as { files: string[]; scripts: Record<string, string> };
    const targets = words('COPY').map((all) => all.at(-1));
    // an image has no use for what it is made with, nor for what only people read
    const shipped = files.filter((path) => !/^!|^deploy$|\.md$/.test(path));
    for (const path of [...shipped, 'package.json', 'node_modules']) expect(targets).toContain(`/opt/swarm/${path}`);
    for (const [, name] of read('deploy/Dockerfile').matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(name!);
    expect(words('ENTRYPOINT')).toEqual([['["/opt/swarm/bin/swarm"]']]);
    expect(statSync(join(ROOT, 'bin/swarm')).mode & 0o111).not.toBe(0);
    expect(words('USER')).toEqual([['10001:10001']]);
  });
});

describe('docs of many machines', () => {
  it('name options and variables that there are', () => {
    const flags = OPTION_NAMES.map(flag_of);
    const many = read('docs/many-machines.md');
    const deploy = read('docs/deploy.md');
    const lines = deploy.split('\n').filter((line) => /(^| )swarm (run|agent|attach|engine up)/.test(line));
    for (const [flag] of [many, ...lines].join('\n').matchAll(/(?<![\w-])--[a-z][a-z-]*/g))
      expect(flags).toContain(flag);
    const variables = [...OPTION_NAMES.map(variable_of), 'SWARM_ENGINE_HOST'];
    const units = readdirSync(DEPLOY)
      .filter((file) => file.endsWith('.service'))
      .map((file) => read(`deploy/${file}`));
    for (const [name] of [many, deploy, ...units].join('\n').matchAll(/SWARM_\w+/g)) expect(variables).toContain(name);
  });

  it('say what each file of deploy/ is for', () => {
    const deploy = read('docs/deploy.md');
    for (const file of readdirSync(DEPLOY, { recursive: true, encoding: 'utf8' }))
      if (statSync(join(DEPLOY, file)).isFile()) expect(deploy).toContain(file);
  });
});
