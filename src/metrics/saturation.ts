/**
 * Whether swarm itself was the bottleneck in a second: then what was measured in it says more about swarm than about
 * the server (docs/summary.md). Pure.
 */

export const SATURATED_BY = ['cpu', 'lag', 'late'] as const;
export type SaturatedBy = (typeof SATURATED_BY)[number];

/** A slot that a free client starts so late, ms, is swarm's own doing: it is tardy. */
export const TARDY_MS = 10;

/**
 * Above these it is saturated: a process plays all its clients in one thread. `cpu`: share of one core; `tardy`: of the
 * slots that were started, see {@link TARDY_MS}.
 */
const MOST = { cpu: 0.9, lag_p99_ms: 50, tardy: 0.01 } as const;

/** A process that holds clients, in the last second. */
export interface Generating {
  readonly id: string;
  /** share of one core */
  readonly cpu: number;
  /** of its event loop */
  readonly lag_p99_ms: number;
}

/** What became of the slots of a rated action in the last second. */
export interface SlotsPlayed {
  /** of the action, in the whole run */
  readonly name: string;
  readonly started: number;
  /** of those, see {@link TARDY_MS} */
  readonly tardy: number;
}

export interface Saturation {
  readonly by: SaturatedBy;
  /** with the worst number there was, and whose it was */
  readonly text: string;
}

/** By what it was saturated, in the order of {@link SATURATED_BY}; empty: it was not. */
export function saturation_of(processes: readonly Generating[], slots: readonly SlotsPlayed[]): Saturation[] {
  const busiest = worst(processes, ({ cpu }) => cpu);
  const slowest = worst(processes, ({ lag_p99_ms }) => lag_p99_ms);
  const tardiest = worst(slots, tardy_share);
  const said: Saturation[] = [];
  if (busiest && busiest.cpu > MOST.cpu)
    said.push({ by: 'cpu', text: `${busiest.id} used ${busiest.cpu.toFixed(2)} of a core` });
  if (slowest && slowest.lag_p99_ms > MOST.lag_p99_ms)
    said.push({
      by: 'lag',
      text: `the event loop of ${slowest.id} was ${slowest.lag_p99_ms.toFixed(0)} ms late (p99)`,
    });
  if (tardiest && tardy_share(tardiest) > MOST.tardy) {
    const { name, started, tardy } = tardiest;
    const text = `${tardy} of ${started} slots of ${name} started more than ${TARDY_MS} ms late though clients were free`;
    said.push({ by: 'late', text });
  }
  return said;
}

const tardy_share = ({ started, tardy }: SlotsPlayed): number => (started > 0 ? tardy / started : 0);

function worst<T>(list: readonly T[], of: (one: T) => number): T | undefined {
  return list.reduce<T | undefined>((most, one) => (most !== undefined && of(most) >= of(one) ? most : one), undefined);
}

/** looks without it that end a stretch of saturation: one that comes and goes is one */
const CALM = 10;

/** Says when swarm becomes saturated, by what, and when it no longer is. */
export class SaturationWatch {
  /** of the stretch that goes on; empty: none does */
  #by: readonly SaturatedBy[] = [];
  #before_s = 0;
  #calm = 0;

  /** To be called once a second. `seconds`: saturated ones before this one. Null: that is no news. */
  look(now: readonly Saturation[], seconds: number): string | null {
    if (now.length === 0) return this.#rest(seconds);
    if (this.#by.length === 0) this.#before_s = seconds;
    this.#calm = 0;
    const fresh = now.filter(({ by }) => !this.#by.includes(by));
    this.#by = [...this.#by, ...fresh.map(({ by }) => by)];
    return fresh.length === 0 ? null : fresh.map(({ text }) => text).join('; ');
  }

  #rest(seconds: number): string | null {
    if (this.#by.length === 0 || ++this.#calm < CALM) return null;
    const by = this.#by;
    this.#by = [];
    this.#calm = 0;
    return `no longer: it was for ${seconds - this.#before_s} s, by ${by.join(', ')}`;
  }
}
