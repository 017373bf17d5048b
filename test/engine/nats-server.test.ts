import { expect, it } from 'vitest';
import { is_error } from '../../src/engine/nats-server.ts';

it.each([
  ['[77] 2026/11/29 01:00:00.000000 [INF] Starting nats-server', false],
  ['[77] 2026/11/29 01:00:00.000000 [INF]   Version:  2.10.29', false],
  ['[77] 2026/11/29 01:00:00.000000 [WRN] Filestore is slow', false],
  ['[77] 2026/11/29 01:00:00.000000 [ERR] JetStream out of resources', true],
  ['[77] 2026/11/29 01:00:00.000000 [FTL] could not create storage directory', true],
  ['nats-server: /e/nats.conf:3:1: unknown field "x"', true],
])('what nats-server dies of is an error, not its banner: %s', (line, is) => expect(is_error(line)).toBe(is));
