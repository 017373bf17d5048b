/** swarm's console as a script uses it: a line out, a line that begins with OK or ERR back. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the server offers first (RFC 854: IAC, verb, option); who does not answer it gets plain lines. */
const NEGOTIATION = /\xff[\xfb-\xfe][^]/g;
/**
 * A connect without an address of its own passes over every port that anybody has bound, on whatever address: it finds none (EADDRNOTAVAIL) while
 * a swarm uses all ports, and for a minute afterwards (TIME_WAIT).
 */
const OWN_ADDRESS = '127.0.0.77';
const ANSWER = /^(OK|ERR)( |$)/;

/**
 * @typedef {object} Console
 * @property {(line: string, within_ms?: number) => Promise<string>} ask  resolves with what follows `OK `; rejects on ERR, on a lost
 *   console and after `within_ms` (10 s). One question at a time.
 * @property {() => void} close
 *
 * @param {number} port
 * @param {() => string | undefined} died  why it is no use to try any longer; a daemon that is starting has 20 s
 * @returns {Promise<Console>}
 */
export async function open_console(port, died) {
  const socket = await connected(port, Date.now() + 20_000, died);
  /** @type {(answer: string | Error) => void} */
  let settle = () => {};
  /** @type {Error | undefined} */
  let lost;
  let rest = '';
  const lose = (why) => settle((lost ??= new Error(`the console is lost: ${why}`)));
  socket.on('error', (error) => lose(error.message));
  socket.on('close', () => lose('closed'));
  socket.setEncoding('latin1').on('data', (text) => {
    const lines = (rest + text).replace(NEGOTIATION, '').split(/\r?\n/);
    rest = lines.pop().slice(-1_048_576);
    const answer = lines.map((line) => line.slice(line.lastIndexOf('\r') + 1)).find((line) => ANSWER.test(line));
    if (answer !== undefined) settle(answer);
  });

  const ask = async (line, within_ms = 10_000) => {
    if (lost) throw lost;
    const timer = setTimeout(() => lose(`no answer to \`${line}\` within ${within_ms} ms`), within_ms);
    const answer = await new Promise((resolve) => {
      settle = resolve;
      socket.write(`${line}\r\n`);
    });
    clearTimeout(timer);
    if (answer instanceof Error) throw answer;
    if (answer.startsWith('ERR')) throw new Error(`the console answered \`${line}\` with \`${answer}\``);
    return answer.slice(3);
  };
  return { ask, close: () => socket.destroy() };
}

async function connected(port, deadline, died) {
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: OWN_ADDRESS, autoSelectFamily: false });
    const error = await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    if (!error) return socket;
    const why = died() ?? (Date.now() > deadline ? error.message : undefined);
    if (why !== undefined) throw new Error(`no console on port ${port}: ${why}`);
    await sleep(50);
  }
}
