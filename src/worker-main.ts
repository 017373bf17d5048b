/** Entry of a forked worker: `node worker-main.js <member> <incarnation>`, with an IPC channel. Imports little: every MB counts 50 times. */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fork_seat } from './cluster/fork.ts';
import { start_worker } from './swarm/worker.ts';

/** a third of a normal process' weight, when they compete (sched(7)) */
const NICE = 5;

const [member, incarnation] = process.argv.slice(2);
if (member === undefined || incarnation === undefined || !process.connected) {
  process.stderr.write('this is the inside of a worker: `swarm run --workers N` starts it\n');
  process.exit(2);
}

// Ctrl-C reaches the whole process group: the coordinator decides how the swarm ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

// Where workers take all there is, the coordinator must still get its turn: the console answers in milliseconds.
try {
  setPriority(NICE);
  // a worker is a session of its own, and the kernel may weigh sessions before it weighs processes (sched(7), autogroup)
  writeFileSync('/proc/self/autogroup', `${NICE}`);
} catch {
  // not Linux, or without that: it only gets less of a saturated machine
}

const seat = fork_seat();
const worker = start_worker({
  member,
  incarnation,
  seat,
  internal: (error) => {
    process.stderr.write(`worker ${member}: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
});
seat.onCut(() => void worker.stop().finally(() => process.exit(0)));
