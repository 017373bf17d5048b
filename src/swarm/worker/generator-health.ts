/** CPU and memory of this process, and how late its event loop is: a generator that is the bottleneck must say so. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Snapshot } from '../../metrics/snapshot.ts';

/** each look at the lag wakes the process: more looks would cost a tenth of a core and more for fifty idle workers */
const LAG_RESOLUTION_MS = 50;
/** commands make accounts come close together, and a CPU share over a few milliseconds says nothing */
const LEAST_MS = 500;

export class GeneratorHealth {
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #cpu = process.cpuUsage();
  #cpu_at = performance.now();
  #cpu_share = 0;

  constructor() {
    this.#lag.enable();
  }

  measure(): Snapshot['generator'] {
    const at = performance.now();
    const elapsed = at - this.#cpu_at;
    const cpu = process.cpuUsage();
    if (elapsed >= LEAST_MS) {
      this.#cpu_share = (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1000 / elapsed;
      this.#cpu = cpu;
      this.#cpu_at = at;
    }
    const lag = Math.max(0, this.#lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS);
    if (elapsed >= LEAST_MS) this.#lag.reset();
    return {
      cpu_s: (cpu.user + cpu.system) / 1e6,
      cpu: this.#cpu_share,
      rss_bytes: process.memoryUsage.rss(),
      lag_p99_ms: Math.round(lag * 1000) / 1000,
    };
  }

  stop(): void {
    this.#lag.disable();
  }
}
