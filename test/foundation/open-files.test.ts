import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capacity, open_files, parse_open_files, RESERVED_FILES, UNLIMITED } from '../../src/foundation/open-files.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            1024                 524288               files
Max locked memory         8388608              unlimited            bytes
`;

describe('parse_open_files', () => {
  it('reads the open-files line, and nothing from other text', () => {
    expect(parse_open_files(LIMITS)).toEqual({ soft: 1024, hard: 524288 });
    expect(parse_open_files('Max open files            unlimited            unlimited            files')).toEqual({
      soft: UNLIMITED,
      hard: UNLIMITED,
    });
    expect(parse_open_files('Max open windows 3 3')).toBeNull();
  });
});

describe('open_files', () => {
  it('knows the limits of this process and counts what it holds', () => {
    const before = open_files();
    expect(before.soft).toBeGreaterThan(0);
    expect(before.hard).toBeGreaterThanOrEqual(before.soft);
    expect(before.used).toBeGreaterThan(2);
    const held = Array.from({ length: 50 }, () => openSync('/dev/null', 'r'));
    const during = open_files().used;
    for (const file of held) closeSync(file);
    expect(during).toBeGreaterThanOrEqual(50 + 3);
  });
});

describe('capacity', () => {
  it('is what remains beside the reserved files', () => {
    expect(capacity({ soft: 20_000, hard: 20_000, used: 30 })).toEqual({
      clients: 20_000 - RESERVED_FILES,
      why: 'open files 20000 per process',
    });
    expect(capacity({ soft: 20_000, hard: 20_000, used: RESERVED_FILES + 5 }).clients).toBe(
      20_000 - RESERVED_FILES - 5,
    );
  });

  it('is 0 where nothing fits, and a number where nothing bounds it', () => {
    expect(capacity({ soft: 64, hard: 64, used: 30 }).clients).toBe(0);
    expect(capacity({ soft: UNLIMITED, hard: UNLIMITED, used: 0 })).toEqual({
      clients: UNLIMITED - RESERVED_FILES,
      why: 'open files unlimited per process',
    });
  });
});
