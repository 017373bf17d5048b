/** A worker for tests: says hello, follows its share, and behaves as its name says. */
import { fork_seat } from '../../src/cluster/fork.ts';
import type { Account } from '../../src/swarm/plan/account.ts';
import { of_main } from '../metrics/one-group.ts';

const [member, incarnation] = process.argv.slice(2) as [string, string];
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
if (member === 'crash') process.exit(3);
if (member === 'assert') {
  // what it is called on is of no interest to it
  const { binding } = process as unknown as { binding: (this: void, name: 'tcp_wrap') => { TCP: new () => unknown } };
  new (binding('tcp_wrap').TCP)();
}

const seat = fork_seat();
if (member !== 'stubborn') seat.onCut(() => process.exit(0));
let seq = 0;
const account = (changes: Partial<Account> = {}): void =>
  seat.account({
    incarnation,
    pid: process.pid,
    seq: ++seq,
    revision: 0,
    taken: 0,
    capacity: 100,
    capacity_why: 'open files',
    snapshot: of_main({}),
    notes: [],
    notes_dropped: 0,
    tenures: [],
    traces: [],
    setup: null,
    teardown: null,
    finished: false,
    ...changes,
  });

if (member !== 'mute') account();
seat.onOrders((orders) => {
  account({
    revision: orders.revision,
    taken: orders.revision,
    notes: [{ level: 'info', text: Object.keys(orders.members).join() }],
  });
  // the trap: leaving inside a message handler, right after a send
  if (orders.phase === 'stop' && member === 'leaver') void seat.close();
});
if (member === 'stubborn') setInterval(() => {}, 1000);
if (member === 'busy')
  setTimeout(() => {
    for (;;);
  }, 200);
