/**
 * The configuration of a nats-server for swarms. Pure.
 *
 * Leaders share the account that has the store. Each agent has an account of its own, and the viewers have one; only
 * what they may use is imported there. Permissions alone are not enough: a client that may ask for a stored value names
 * where the answer goes, and the server writes it there, even into another's key. With accounts an answer never leaves
 * the account that asked.
 */
import type { Role } from '../machines/store/credentials.ts';
import { INFO_SUBJECT } from '../machines/store/nats.ts';

export interface EngineUser {
  readonly user: string;
  readonly role: Role;
  /** public key */
  readonly nkey: string;
}

export interface EngineConfig {
  /** `ip:port` */
  readonly listen: string;
  /** paths */
  readonly store_dir: string;
  /** most bytes in the store */
  readonly store_bytes: number;
  readonly pid_file: string;
  readonly users: readonly EngineUser[];
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
}

/** of one agent: its own, and those that the server does not yet know to be gone */
const AGENT_CONNECTIONS = 8;
/** of all viewers together */
const VIEWER_CONNECTIONS = 64;
/** kept for leaders, whatever others open; they share an account, which has no such bound of its own */
const LEADER_CONNECTIONS = 128;
const connections_of = (role: Role): number => (role === 'agent' ? AGENT_CONNECTIONS : VIEWER_CONNECTIONS);
/** most bytes that may be stored */
export const MAX_STORE_BYTES = 8 * 2 ** 30;
const text = (value: unknown): string => JSON.stringify(value);

export function engine_config({ listen, store_dir, store_bytes, pid_file, users, tls }: EngineConfig): string {
  const leaders = users.filter(({ role }) => role === 'leader').map(({ nkey }) => `{ nkey: ${text(nkey)}, ${LEADER} }`);
  const guests = users.filter(({ role }) => role !== 'leader');
  const others = guests.map(account);
  const most = guests.reduce((all, { role }) => all + connections_of(role), LEADER_CONNECTIONS);
  return `# written by \`swarm engine up\` at each start
server_name: swarm-engine
listen: ${text(listen)}
pid_file: ${text(pid_file)}
max_payload: 1048576
max_connections: ${most}
ping_interval: "10s"
ping_max: 2
write_deadline: "5s"
jetstream {
  store_dir: ${text(store_dir)}
  max_memory_store: 67108864
  max_file_store: ${store_bytes}
}
${tls ? `tls {\n  ca_file: ${text(tls.ca)}\n  cert_file: ${text(tls.cert)}\n  key_file: ${text(tls.key)}\n  verify: true\n  timeout: 5\n}\n` : ''}accounts {
  swarm {
    jetstream: enabled
    users: [ ${leaders.join(', ')} ]
    exports: [
      { service: "$KV.*.members.*" }
      { service: "$KV.*.results.*.*" }
      { service: "$KV.*.latencies.*.*.*" }
      { service: "swarm.*.series.*.*" }
      { service: "$JS.API.DIRECT.GET.>" }
      { service: "$JS.API.STREAM.INFO.*" }
      { stream: "swarm.*.kv.>" }
      { stream: "swarm.*.ctl.*" }
    ]
  }
${others.join('')}}
`;
}

const LEADER = `permissions: {
      publish: { allow: ["$KV.>", "$JS.API.DIRECT.GET.>", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.INFO.*", "swarm.*.ctl.*", "swarm.*.series.*.*"] }
      subscribe: { allow: ["_INBOX_leader.>", "swarm.>"] } }`;

function account({ user, role, nkey }: EngineUser): string {
  const writes =
    role === 'agent'
      ? [`$KV.*.members.${user}`, `$KV.*.results.${user}.*`, `$KV.*.latencies.${user}.*.*`, `swarm.*.series.*.${user}`]
      : [];
  const read =
    role === 'agent'
      ? ['plan', 'lease', 'desired', 'bundle.>', `members.${user}`, `results.${user}.*`, `latencies.${user}.*.*`]
      : ['>'];
  // a series is read by number, which is in the text of the request
  const by_number = role === 'viewer' ? ['$JS.API.DIRECT.GET.*'] : [];
  const services = [...writes, ...by_number, ...read.map((key) => `$JS.API.DIRECT.GET.*.$KV.*.${key}`)];
  const hears = role === 'agent' ? [`swarm.*.ctl.${user}`, 'swarm.*.ctl.all'] : ['swarm.*.kv.>'];
  const imports = [
    ...services.map((subject) => `{ service: { account: swarm, subject: ${text(subject)} } }`),
    `{ service: { account: swarm, subject: "$JS.API.STREAM.INFO.*" }, to: "${INFO_SUBJECT}.*" }`,
    ...hears.map((subject) => `{ stream: { account: swarm, subject: ${text(subject)} } }`),
  ];
  return `  ${user} {
    users: [ { nkey: ${text(nkey)}, permissions: {
      publish: { allow: ${text([...services, `${INFO_SUBJECT}.*`])} }
      subscribe: { allow: ${text([`_INBOX_${user}.>`, ...hears])} } } } ]
    limits: { max_connections: ${connections_of(role)} }
    imports: [
      ${imports.join('\n      ')}
    ]
  }
`;
}
