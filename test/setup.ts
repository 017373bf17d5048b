/** Run before each file of tests. */
import { vi } from 'vitest';
import { PATIENCE_MS } from './patience.ts';

const { waitFor } = vi;
/** Unless it is told otherwise, it waits for a second only. */
vi.waitFor = (f, options) => waitFor(f, options ?? { timeout: PATIENCE_MS });
