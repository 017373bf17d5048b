/**
 * The script after loading: validated, every default filled in, frozen. Plain data: it travels to the workers as it is.
 */

/** The only group of a script without groups, and the only loop of a group without loops. */
export const MAIN = 'main';
/** What a group, a loop and an action may be called. It is no number: keys that are do not stay in their order. */
export const NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
export const MAX_GROUPS = 100;
/** Shares of a group are whole numbers up to this, so that sums of them and their products with ids are exact. */
export const MAX_SHARE = 10_000;

/** `[a, b]` with a ≤ b; a single number in the file becomes `[n, n]`. Sleeps are in seconds. */
export type Range = readonly [number, number];

/** Seconds to sleep, drawn anew each time: evenly from a range, or around a mean. */
export type ThinkTime = Range | Distribution;

export interface Distribution {
  readonly mean: number;
  readonly distribution: 'exponential' | 'lognormal';
  /** standard deviation of the logarithm; only lognormal reads it */
  readonly sigma: number;
}

/** How an action is played at a rate, over the clients that are connected, instead of in turn. */
export interface Rated {
  /** of the whole swarm, per second: 0, or above 0 up to 1000000 with at most six decimals; 0 waits for a command */
  readonly per_s: number;
  /** slots come as in a Poisson process; else evenly */
  readonly poisson: boolean;
  /** rounds of it that one client may run at a time, from 1; more than 1 only with `messages` */
  readonly at_once: number;
  /** ms after its instant when a slot for which no client was free is dropped; null: the reply timeout */
  readonly give_up_ms: number | null;
}

export interface Action {
  /** position in its group, over all its loops, from 0 */
  readonly index: number;
  /** what it is called everywhere; its command, unless the script names it */
  readonly name: string;
  /** the exported function of the module that each round calls */
  readonly command: string;
  /** the second parameter of that function: deeply frozen, shared by all clients; `{}` when the script has none */
  readonly args: Readonly<Record<string, unknown>>;
  /** integers, drawn anew each iteration, both ends included */
  readonly rounds: Range;
  /** after every round, the last one too */
  readonly sleep_between_rounds: ThinkTime;
  /** after the last round */
  readonly sleep_after_action: ThinkTime;
  /** null: it is played in turn. Otherwise its rounds in turn are none, and all its sleeps 0 */
  readonly rate: Rated | null;
}

/** Actions that a client plays in order, over and over. */
export interface Loop {
  readonly name: string;
  readonly actions: readonly Action[];
  /** null: without end */
  readonly iterations: number | null;
  /** after the sleeps of its last action, before the next iteration */
  readonly sleep_between_iterations: ThinkTime;
}

/** What the clients of a group play. */
export interface GroupScript {
  /** module name inside the protocol folder */
  readonly protocol: string;
  /** at least one; a client plays all of them at once on its connection */
  readonly loops: readonly Loop[];
  /** of all clients of the group together; null unless it has one loop, without `iterations` */
  readonly iterations_in_all: number | null;
}

export interface ScriptGroup extends GroupScript {
  readonly name: string;
  /** its part of the clients is `share`/Σ share: an integer from 0 to {@link MAX_SHARE} */
  readonly share: number;
}

export interface Script {
  /** at least one, not all with share 0 */
  readonly groups: readonly ScriptGroup[];
}

/** The modules that groups play, in the order in which they come up first. */
export const protocols_of = (groups: readonly Pick<GroupScript, 'protocol'>[]): string[] => [
  ...new Set(groups.map(({ protocol }) => protocol)),
];

/** What groups that play this module call of it. */
export const commands_of = (groups: readonly GroupScript[], protocol: string): string[] =>
  groups
    .filter((group) => group.protocol === protocol)
    .flatMap(actions_of)
    .map(({ command }) => command);

/** By their index. */
export const actions_of = ({ loops }: Pick<GroupScript, 'loops'>): Action[] => loops.flatMap(({ actions }) => actions);
