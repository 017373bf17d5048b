/**
 * Entry of a forked worker: `node worker-main.js <member> <incarnation>`, with an IPC channel. Imports little: with 50
 * workers every MB counts 50 times.
 */
import { fork_seat } from './cluster/fork.ts';
import { write_last } from './foundation/exit.ts';
import { start_worker } from './swarm/worker/worker.ts';

const [member, incarnation] = process.argv.slice(2);
if (member === undefined || incarnation === undefined || !process.connected) {
  process.stderr.write('this is the inside of a worker: `swarm run --workers N` starts it\n');
  process.exit(2);
}

// Ctrl-C reaches the whole process group: the coordinator decides how the swarm ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

const seat = fork_seat();
const worker = start_worker({
  member,
  incarnation,
  seat,
  internal: (error) => {
    write_last(2, `worker ${member}: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
  // its last account is on its way; the process that started it starts another
  expired: () => void worker.stop().finally(() => process.exit(0)),
});
// a module that ends the process would lose what it printed last
process.on('exit', () => {
  for (const { level, text } of worker.unsent()) write_last(level === 'info' ? 1 : 2, `${text}\n`);
});
seat.onCut(() => void worker.stop().finally(() => process.exit(0)));
