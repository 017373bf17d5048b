/** What a command writes to. */
import type { Output } from './output.ts';

/** Where a command writes: `out` is for what was asked for, `err` for the log and for faults. Colours only where a person looks. */
export interface Io {
  readonly out: Output;
  readonly err: Output;
  readonly colour: { readonly out: boolean; readonly err: boolean };
}
