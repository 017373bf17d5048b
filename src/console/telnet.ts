/**
 * Telnet's side channel, without a socket: bytes in, events and replies out (RFC 854, 855; ECHO 857, SUPPRESS-GO-AHEAD
 * 858, NAWS 1073). Chunks may be cut anywhere.
 */

const IAC = 255;
const [DONT, DO, WONT, WILL, SB, SE] = [254, 253, 252, 251, 250, 240];
export const ECHO = 1;
const SUPPRESS_GO_AHEAD = 3;
const WINDOW_SIZE = 31;
/** "interrupt process" (RFC 854): what some clients send for Ctrl-C */
export const INTERRUPT = 244;

/** most bytes in a subnegotiation; NAWS, the only one that is used, has 4 */
const SUBNEGOTIATION_LIMIT = 512;

/**
 * What the server sends first: it offers to echo and to do without go-aheads, and asks for the window's size. A real
 * telnet waits for this on any port but 23.
 */
export const GREETING = Buffer.from([IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, WINDOW_SIZE]);

export type TelnetEvent =
  | { type: 'data'; bytes: Buffer }
  /** one of our options was agreed on (`on`) or withdrawn by the client */
  | { type: 'option'; option: number; on: boolean }
  /** characters; 0 = the client does not know */
  | { type: 'window'; columns: number; rows: number }
  | { type: 'command'; command: number }
  /** a subnegotiation without end: nothing after it can be trusted, and nothing more is decoded */
  | { type: 'bad'; reason: string };

/** `asked`: GREETING offered or requested it, and the client has not answered yet. */
type OptionState = 'asked' | 'yes' | 'no';
type DecoderState = 'data' | 'iac' | 'verb' | 'sub' | 'sub_iac' | 'bad';

export class TelnetDecoder {
  #place: DecoderState = 'data';
  #verb = 0;
  #sub: number[] = [];
  // options that are not in these tables are refused
  readonly #ours = new Map<number, OptionState>([
    [ECHO, 'asked'],
    [SUPPRESS_GO_AHEAD, 'asked'],
  ]);
  readonly #theirs = new Map<number, OptionState>([[WINDOW_SIZE, 'asked']]);

  /** The events of `chunk` in order, and the bytes to send back. */
  receive(chunk: Buffer): { events: TelnetEvent[]; reply: Buffer } {
    const events: TelnetEvent[] = [];
    const reply: number[] = [];
    let data: number[] = [];
    const flush = (): void => {
      if (data.length > 0) events.push({ type: 'data', bytes: Buffer.from(data) });
      data = [];
    };
    for (const byte of chunk) {
      if (this.#place === 'data') {
        if (byte === IAC) this.#place = 'iac';
        else data.push(byte);
      } else if (this.#place === 'iac' && byte === IAC) {
        this.#place = 'data';
        data.push(IAC);
      } else {
        flush();
        this.#control(byte, events, reply);
      }
    }
    flush();
    return { events, reply: Buffer.from(reply) };
  }

  #control(byte: number, events: TelnetEvent[], reply: number[]): void {
    switch (this.#place) {
      case 'iac':
        this.#command(byte, events);
        break;
      case 'verb':
        this.#place = 'data';
        this.#negotiate(byte, events, reply);
        break;
      case 'sub':
        if (byte === IAC) this.#place = 'sub_iac';
        else this.#collect(byte, events);
        break;
      case 'sub_iac':
        if (byte === IAC) {
          this.#place = 'sub';
          this.#collect(byte, events);
        } else if (byte === SE) {
          this.#place = 'data';
          this.#subnegotiated(events);
        } else {
          // RFC 855 leaves this open: the subnegotiation is dropped, and the byte is taken as a command
          this.#command(byte, events);
        }
        break;
    }
  }

  #command(byte: number, events: TelnetEvent[]): void {
    this.#place = byte === SB ? 'sub' : byte > SB && byte < IAC ? 'verb' : 'data';
    this.#verb = byte;
    this.#sub = [];
    if (this.#place === 'data') events.push({ type: 'command', command: byte });
  }

  #collect(byte: number, events: TelnetEvent[]): void {
    if (this.#sub.push(byte) <= SUBNEGOTIATION_LIMIT) return;
    this.#place = 'bad';
    events.push({ type: 'bad', reason: `a telnet subnegotiation of more than ${SUBNEGOTIATION_LIMIT} bytes` });
  }

  #subnegotiated(events: TelnetEvent[]): void {
    const [option, ...value] = this.#sub;
    if (option === WINDOW_SIZE && value.length === 4)
      events.push({ type: 'window', columns: value[0]! * 256 + value[1]!, rows: value[2]! * 256 + value[3]! });
  }

  /**
   * RFC 854: neither a request for the present state nor the answer to one's own is answered, so that there are no
   * loops.
   */
  #negotiate(option: number, events: TelnetEvent[], reply: number[]): void {
    const about_us = this.#verb === DO || this.#verb === DONT;
    const on = this.#verb === DO || this.#verb === WILL;
    const states = about_us ? this.#ours : this.#theirs;
    const state = states.get(option);
    if (state === undefined) {
      if (on) reply.push(IAC, about_us ? WONT : DONT, option);
      return;
    }
    if (state === (on ? 'yes' : 'no')) return;
    if (state !== 'asked') reply.push(IAC, about_us ? (on ? WILL : WONT) : on ? DO : DONT, option);
    states.set(option, on ? 'yes' : 'no');
    if (about_us) events.push({ type: 'option', option, on });
  }
}
