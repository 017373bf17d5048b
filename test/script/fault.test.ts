import { describe, expect, it } from 'vitest';
import { position_table, render_faults, type Fault } from '../../src/script/fault.ts';

const fault = (line: number, column: number, message = 'no'): Fault => ({ file: 'a.yml', line, column, message });
const show = (text: string, ...faults: Fault[]): string[] => render_faults(faults, text, false).split('\n');

describe('position_table', () => {
  it('knows every kind of line break', () => {
    const at = position_table('a\nb\r\nc\rd\n');
    expect([0, 1, 2, 4, 5, 7, 9].map((offset) => Object.values(at(offset)).join(':'))).toEqual([
      '1:1',
      '1:2',
      '2:1',
      '2:3',
      '3:1',
      '4:1',
      '5:1',
    ]);
  });
});

describe('render_faults', () => {
  it('shows two lines above and below, and a caret', () => {
    const text = Array.from({ length: 12 }, (_, i) => `line ${i + 1}`).join('\n');
    expect(show(text, fault(8, 6, 'not so'))).toEqual([
      'a.yml:8:6 not so',
      '   6 | line 6',
      '   7 | line 7',
      '>  8 | line 8',
      '     |      ^',
      '   9 | line 9',
      '  10 | line 10',
    ]);
  });

  it('stays inside the file, and shows an end that came too early behind it', () => {
    expect(show('a: [1\n', fault(1, 4))).toEqual(['a.yml:1:4 no', '> 1 | a: [1', '    |    ^']);
    expect(show('a: [1\n', fault(2, 1))).toEqual(['a.yml:2:1 no', '  1 | a: [1', '> 2 |', '    | ^']);
    expect(show('', fault(1, 1))).toEqual(['a.yml:1:1 no', '> 1 |', '    | ^']);
  });

  it('shows several with a blank line between', () => {
    expect(show('a\r\nb', fault(1, 1), fault(2, 1))).toEqual([
      ...['a.yml:1:1 no', '> 1 | a', '    | ^', '  2 | b'],
      '',
      ...['a.yml:2:1 no', '  1 | a', '> 2 | b', '    | ^'],
    ]);
  });

  it('cuts long lines around the caret', () => {
    const text = `${'x'.repeat(500)}Y${'z'.repeat(500)}`;
    const [, line, caret] = show(`short\n${text}`, fault(2, 501)).slice(1);
    expect(line!.length).toBeLessThanOrEqual(120);
    expect(line).toMatch(/^> 2 \| …x+Yz+…$/);
    expect(caret!.indexOf('^')).toBe(line!.indexOf('Y'));
    expect(show(text, fault(1, 1))[1]).toBe(`> 1 | ${'x'.repeat(110)}…`);
  });

  it('lets no control byte through, and keeps the caret in its column', () => {
    const [head, line, caret] = show('\u001b[31m\tX\u202e', fault(1, 7, 'bad \u001b]0;x\u0007\nline'));
    expect(head).toBe('a.yml:1:7 bad \\x1b]0;x\\x07\\nline');
    expect(line).toBe('> 1 | \\x1b[31m\\tX\\u202e');
    expect(caret!.indexOf('^')).toBe(line!.indexOf('X'));
  });

  it('colours on demand', () => {
    expect(render_faults([fault(1, 1)], 'a', true)).toContain('\u001b[31m^\u001b[39m');
    expect(render_faults([fault(1, 1)], 'a', false)).not.toContain('\u001b');
  });
});
