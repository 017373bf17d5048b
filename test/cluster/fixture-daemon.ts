/** A daemon for tests: starts the workers named, prints their pids when all said hello, and waits to be killed. */
import { start_processes } from '../../src/cluster/processes.ts';

const [entry, ...members] = process.argv.slice(2) as [string, ...string[]];
const pids = new Map<string, number>();
const hub = start_processes({ members, entry, on_note: () => {} });
hub.want(members);
hub.onAccount((member, { pid }) => {
  pids.set(member, pid);
  if (pids.size === members.length) process.stdout.write(`${JSON.stringify([...pids.values()])}\n`);
});
