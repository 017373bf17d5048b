import { describe, expect, it } from 'vitest';
import { introduction, is_tls } from '../../src/console/strangers.ts';
import { COMMANDS, parse_line } from '../../src/grammar/table.ts';

const introduced = (line: string): unknown => introduction(line, parse_line(line));

// What other protocols do to a real session: session.test.ts.
describe('introduction', () => {
  it.each(['status', 'STATUS json', 'incr 5', 'set 0', 'help', 'quit', 'trace 5 10'])('%s: ours', (line) =>
    expect(introduced(line)).toBe('ours'),
  );

  it.each(['mark', 'mark GET / HTTP/1.1', 'MARK /x HTTP/1.1', 'annotate / HTTP/1.1', 'auth password'])(
    '%s: the next line tells',
    (line) => expect(introduced(line)).toBe('unsure'),
  );

  it.each([
    'GET / HTTP/1.1',
    'POST\t/x\tHTTP/1.1',
    'PRI * HTTP/2.0',
    'TRACE / HTTP/1.1',
    'incr /5 HTTP/1.1',
    'LOAD /x HTTP/1.1',
  ])('%s: HTTP', (line) => expect(introduced(line)).toEqual({ bad: 'this is not HTTP' }));

  it.each(['EHLO x', 'set k 0 0 8', 'icnr 5', 'incr', '*1', 'Host: x'])('%s: closed, says why', (line) =>
    expect(introduced(line)).toEqual({
      bad: expect.stringMatching(/^closed, for .*: (unknown command|usage)/) as string,
    }),
  );

  it('no command but those takes a request line', () => {
    for (const { name } of COMMANDS)
      for (const target of ['/', '/5', '*', 'x:1'])
        expect(introduced(`${name} ${target} HTTP/1.1`), name).not.toBe('ours');
  });
});

describe('is_tls', () => {
  it.each([
    [[0x16, 3, 1, 2, 0], true],
    [[0x16], true],
    [[0x16, 2], false],
    [[0x69, 0x6e], false],
    [[], false],
  ])('%j: %s', (bytes, wanted) => expect(is_tls(Buffer.from(bytes))).toBe(wanted));
});
