import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ECHO, GREETING, TelnetDecoder, type TelnetEvent } from '../../src/console/telnet.ts';

const [IAC, DONT, DO, WONT, WILL, SB, SE, NAWS] = [255, 254, 253, 252, 251, 250, 240, 31];

/** Events with neighbouring data joined, and all replies, of chunks given one after the other. */
function decode(...chunks: (number[] | string)[]): { events: unknown[]; reply: number[] } {
  const decoder = new TelnetDecoder();
  const events: TelnetEvent[] = [];
  const reply: number[] = [];
  for (const chunk of chunks) {
    const got = decoder.receive(Buffer.from(chunk as number[]));
    reply.push(...got.reply);
    for (const event of got.events) {
      const last = events.at(-1);
      if (event.type === 'data' && last?.type === 'data') last.bytes = Buffer.concat([last.bytes, event.bytes]);
      else events.push({ ...event });
    }
  }
  return { events: events.map((e) => (e.type === 'data' ? e.bytes.toString('latin1') : e)), reply };
}

describe('TelnetDecoder', () => {
  it('greets with WILL ECHO, WILL SGA, DO NAWS', () => {
    expect([...GREETING]).toEqual([IAC, WILL, 1, IAC, WILL, 3, IAC, DO, NAWS]);
  });

  const rows: [string, number[], { events: unknown[]; reply: number[] }][] = [
    ['plain bytes pass', [104, 105], { events: ['hi'], reply: [] }],
    ['IAC IAC is one byte 255', [97, IAC, IAC, 98], { events: ['a\xffb'], reply: [] }],
    [
      'an agreed option is not answered',
      [IAC, DO, ECHO],
      { events: [{ type: 'option', option: 1, on: true }], reply: [] },
    ],
    ['a refused one neither', [IAC, DONT, ECHO], { events: [{ type: 'option', option: 1, on: false }], reply: [] }],
    [
      'an agreement said twice counts once',
      [IAC, DO, 1, IAC, DO, 1],
      { events: [{ type: 'option', option: 1, on: true }], reply: [] },
    ],
    [
      'an option taken back is confirmed, given again too',
      [IAC, DO, 1, IAC, DONT, 1, IAC, DO, 1],
      {
        events: [true, false, true].map((on) => ({ type: 'option', option: 1, on })),
        reply: [IAC, WONT, 1, IAC, WILL, 1],
      },
    ],
    ['what we do not do is refused', [IAC, DO, 6, IAC, WILL, 24], { events: [], reply: [IAC, WONT, 6, IAC, DONT, 24] }],
    ['what is off already is not answered', [IAC, DONT, 6, IAC, WONT, 24], { events: [], reply: [] }],
    [
      'a window size, with an escaped 255 in it',
      [IAC, WILL, NAWS, IAC, SB, NAWS, 0, IAC, IAC, 0, 40, IAC, SE, 33],
      { events: [{ type: 'window', columns: 255, rows: 40 }, '!'], reply: [] },
    ],
    ['a window size of a wrong length is nothing', [IAC, SB, NAWS, 1, IAC, SE, 33], { events: ['!'], reply: [] }],
    ['other subnegotiations are skipped', [IAC, SB, 24, 0, 1, 2, IAC, SE, 33], { events: ['!'], reply: [] }],
    ['a command', [97, IAC, 244, 98], { events: ['a', { type: 'command', command: 244 }, 'b'], reply: [] }],
    [
      'a command ends a subnegotiation',
      [IAC, SB, 1, IAC, 244, 98],
      { events: [{ type: 'command', command: 244 }, 'b'], reply: [] },
    ],
    [
      'IAC before something that is no command',
      [IAC, 65, 66],
      { events: [{ type: 'command', command: 65 }, 'B'], reply: [] },
    ],
  ];
  it.each(rows)('%s', (_, bytes, wanted) => {
    expect(decode(bytes)).toEqual(wanted);
    for (let cut = 0; cut <= bytes.length; cut++) expect(decode(bytes.slice(0, cut), bytes.slice(cut))).toEqual(wanted);
  });

  it('gives up a subnegotiation of more than 512 bytes, and everything after it', () => {
    const fits = [IAC, SB, ...Array<number>(512).fill(7), IAC, SE, 33];
    expect(decode(fits).events).toEqual(['!']);
    const { events } = decode([IAC, SB, ...Array<number>(513).fill(7)], [IAC, SE, 33, IAC, DO, 6]);
    expect(events).toEqual([{ type: 'bad', reason: 'a telnet subnegotiation of more than 512 bytes' }]);
  });

  it('decodes any bytes alike, wherever they are cut, and never answers with more than it got', () => {
    const byte = fc.oneof(fc.constantFrom(IAC, DO, DONT, WILL, WONT, SB, SE, 1, 3, NAWS), fc.nat(255));
    fc.assert(
      fc.property(fc.array(fc.array(byte, { maxLength: 20 }), { maxLength: 10 }), (chunks) => {
        const whole = decode(chunks.flat());
        expect(decode(...chunks)).toEqual(whole);
        expect(whole.reply.length).toBeLessThanOrEqual(chunks.flat().length);
      }),
    );
  });

  it('does not loop with a peer of its own kind', () => {
    const [a, b] = [new TelnetDecoder(), new TelnetDecoder()];
    let [to_a, to_b]: [Buffer, Buffer] = [GREETING, GREETING];
    for (let i = 0; i < 5 && to_a.length + to_b.length > 0; i++)
      [to_a, to_b] = [b.receive(to_b).reply, a.receive(to_a).reply];
    expect(to_a.length + to_b.length).toBe(0);
  });
});
