/**
 * A process that plays many agents over a few connections to an engine: the agent's own code, with workers that do nothing but count.
 * `node crowd-agents.mjs <engine> <first> <count>`; says `ready` once all offer themselves.
 */
import { hostname } from 'node:os';
import { Agent } from '../../dist/machines/agent/swarm-agent.js';
import { fetch_bundle } from '../../dist/machines/store/bundles.js';
import { open_nats_store } from '../../dist/machines/store/nats.js';
import { CLOCK } from '../../dist/foundation/clock.js';
import { VERSION } from '../../dist/foundation/version.js';
import { merge_groups, merge_snapshots, NO_DEAD } from '../../dist/metrics/merge-snapshots.js';

const CONNECTIONS = 4;
const APPLIED_MS = 5;
const BUCKETS = 100;
/** characters of a text that is the plan */
const LONG = 20_000;
const EMPTY = merge_groups([]);

const [engine, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
// On machines of their own each agent parses the plan once; here they are hundreds on one core, which would be all that is measured.
const parse = JSON.parse;
let last = { text: '', value: null };
JSON.parse = (text, reviver) => {
  if (reviver !== undefined || typeof text !== 'string' || text.length < LONG) return parse(text, reviver);
  if (last.text !== text) last = { text, value: parse(text) };
  return last.value;
};

const stores = await Promise.all(
  Array.from({ length: CONNECTIONS }, () => open_nats_store({ engine, name: 'main', credentials: null })),
);
const bundles = new Map();

for (let i = 0; i < count; i++) {
  const id = `crowd-${String(first + i).padStart(3, '0')}`;
  const store = stores[i % CONNECTIONS];
  new Agent({
    store,
    timers: CLOCK,
    id,
    max_connections: null,
    log: () => {},
    is_dead: () => false,
    facts: {
      host: hostname(),
      machine: hostname(),
      pid: process.pid,
      swarm: VERSION,
      node: process.versions.node,
      labels: [],
      weight: 1,
    },
    make: async (header) => {
      if (!bundles.has(header.id)) bundles.set(header.id, fetch_bundle(store, header, null));
      await bundles.get(header.id);
      return new Crew(i);
    },
  });
}
process.stdout.write('ready\n');

const ACTIONS = [{ group: 'main', name: 'say' }];

/** Holds what it is ordered a moment later. */
class Crew {
  #applied = 0;
  #live = 0;
  #may = 0;
  #created = 0;
  #killed = 0;
  #on_change = () => {};
  #is_closed = false;
  #histogram;

  constructor(seed) {
    // buckets of a microsecond each
    const indices = Array.from({ length: BUCKETS }, (_, i) => 1000 + i * 7 + (seed % 7));
    const count = indices.reduce((all, one) => all + one, 0);
    this.#histogram = { indices, counts: indices, count, sum: 1300 * count, min: indices[0], max: indices.at(-1) };
  }

  order({ revision, phase, groups: { main } }) {
    const is_ending = phase === 'drain' || phase === 'stop';
    const { clients, target } = is_ending ? { clients: 0, target: 0 } : main;
    this.#may = Math.max(clients, target);
    setTimeout(() => {
      if (this.#is_closed) return;
      this.#created += Math.max(0, clients - this.#live);
      this.#killed += Math.max(0, this.#live - clients);
      this.#live = clients;
      this.#applied = revision;
      this.#on_change();
    }, APPLIED_MS);
  }

  permit() {}
  refresh() {}

  on_change(f) {
    this.#on_change = f;
  }

  account() {
    const [service, response] = [this.#histogram, this.#histogram];
    const clients = {
      ...EMPTY.clients,
      created: this.#created,
      killed: { decr: 0, stop: this.#killed },
      states: { ...EMPTY.clients.states, standby: this.#live },
    };
    return {
      applied: this.#applied,
      capacity: 1000,
      capacity_why: 'open files',
      ids_wanted: { main: this.#live },
      actions: ACTIONS,
      snapshot: {
        ...merge_snapshots([]),
        groups: {
          main: {
            ...EMPTY,
            clients,
            actions: [{ started: 0, running: 0, ok: 0, failed: {}, aborted: 0, service, response }],
          },
        },
      },
      dead: NO_DEAD,
      workers: [],
      traces: [],
      setup: null,
      teardown: null,
      live: this.#live,
      open: this.#live,
      may: { main: this.#may },
      killed_at_end: [],
    };
  }

  async close() {
    this.#is_closed = true;
    this.#killed += this.#live;
    this.#live = this.#may = 0;
  }
}
