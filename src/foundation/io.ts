import type { Output } from './output.ts';

/**
 * Where a command writes: `out` takes what was asked for, `err` the log and faults. Colours are on only for a terminal.
 */
export interface Io {
  readonly out: Output;
  readonly err: Output;
  readonly colour: { readonly out: boolean; readonly err: boolean };
}
