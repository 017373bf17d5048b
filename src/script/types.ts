/**
 * The script after loading: validated, every default filled in, frozen. Plain data: it travels to the workers as it is.
 */

/** `[a, b]` with a ≤ b; a single number in the file becomes `[n, n]`. Sleeps are in seconds. */
export type Range = readonly [number, number];

export interface Action {
  /** position in the script, from 0 */
  readonly index: number;
  /** the exported function of the module that each round calls */
  readonly command: string;
  /** the second parameter of that function: deeply frozen, shared by all clients; `{}` when the script has none */
  readonly args: Readonly<Record<string, unknown>>;
  /** integers, drawn anew each iteration, both ends included */
  readonly rounds: Range;
  /** seconds, a real number drawn after every round, the last one too */
  readonly sleep_between_rounds: Range;
  /** seconds, a real number drawn after the last round */
  readonly sleep_after_action: Range;
}

export interface Script {
  /** module name inside the protocol folder */
  readonly protocol: string;
  readonly actions: readonly Action[];
}
