/** What a coordinator measures of a script with very many actions, of which some are played in each second. */

/**
 * @typedef {object} Metrics  of swarm's own modules, from src/ or dist/
 * @property {typeof import('../../src/metrics/histogram.ts').Histogram} Histogram
 * @property {typeof import('../../src/metrics/merge-snapshots.ts').NO_DEAD} NO_DEAD
 * @property {typeof import('../../src/metrics/merge-snapshots.ts').merge_groups} merge_groups
 */

/** As coarse as swarm records the times of a thousand actions. */
const COARSE = 4;

export class ManyActions {
  #metrics;
  #actions;
  #snapshots;
  #moving;
  #rounds;
  #state = 1;

  /**
   * @param {Metrics} metrics
   * @param {{ actions: number, moving: number, rounds: number }} shape  `moving` drawn actions play `rounds` rounds each in a second
   */
  constructor({ Histogram, NO_DEAD, merge_groups }, { actions, moving, rounds }) {
    this.#metrics = { NO_DEAD, merge_groups };
    this.#moving = moving;
    this.#rounds = rounds;
    this.#actions = Array.from({ length: actions }, () => ({
      median_us: 2 ** (7 + 12 * this.#draw()),
      service: new Histogram(COARSE),
      response: new Histogram(COARSE),
    }));
    this.#snapshots = this.#actions.map((action) => this.#snapshot(action));
  }

  get names() {
    return this.#actions.map((_, i) => ({ group: 'main', name: `action_${i}` }));
  }

  /** Everything measured so far, after one more second. @returns {import('../../src/metrics/totals.ts').Totals} */
  next() {
    for (let i = 0; i < this.#moving; i++) {
      const number = this.#moving === this.#actions.length ? i : Math.floor(this.#draw() * this.#actions.length);
      this.#play(this.#actions[number]);
      this.#snapshots[number] = this.#snapshot(this.#actions[number]);
    }
    const { merge_groups, NO_DEAD } = this.#metrics;
    const { snapshot, lost } = NO_DEAD;
    const groups = { main: { ...merge_groups([]), actions: [...this.#snapshots] } };
    return { snapshot: { ...snapshot, groups }, lost };
  }

  #play({ median_us, service, response }) {
    for (let i = 0; i < this.#rounds; i++) {
      const us = median_us * (0.7 - Math.log(1 - this.#draw()));
      service.record(us);
      response.record(us + 40);
    }
  }

  #snapshot({ service, response }) {
    const ok = service.count;
    const times = { service: service.snapshot(), response: response.snapshot() };
    return { started: ok, running: 0, ok, failed: {}, aborted: 0, ...times };
  }

  /** 0 ≤ x < 1, always the same ones */
  #draw() {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 2 ** 32;
  }
}
