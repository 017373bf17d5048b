import { describe, expect, it } from 'vitest';
import { Suspension } from '../../src/foundation/suspension.ts';

/** A machine that started long before the process. */
class Machine {
  up_ms = 1e7;
  asleep_ms = 0;
  wall_ms = 1.7e12;
  looks = 0;
  readonly suspension = new Suspension({
    now: () => this.up_ms - this.asleep_ms - 9e6,
    wall: () => this.wall_ms,
    uptime: () => {
      this.looks++;
      return Math.floor(this.up_ms / 10) / 100;
    },
  });

  pass(ms: number): void {
    this.up_ms += ms;
    this.wall_ms += ms;
  }

  sleep(ms: number): void {
    this.asleep_ms += ms;
    this.pass(ms);
  }
}

describe('a suspension', () => {
  it('is what the uptime went on by while the monotonic clock stood still, all of them together', () => {
    const machine = new Machine();
    machine.pass(5003);
    expect(machine.suspension.ms).toBe(0);
    machine.sleep(60_000);
    expect(Math.abs(machine.suspension.ms - 60_000)).toBeLessThan(20);
    machine.pass(3600_000);
    machine.sleep(2000);
    machine.sleep(7_200_000);
    expect(Math.abs(machine.suspension.ms - 7_262_000)).toBeLessThan(20);
  });

  it('is none where the wall clock was only set, either way, and that is looked at once', () => {
    const machine = new Machine();
    const looks = machine.looks;
    for (const step of [3_600_000, -7_200_000, 600]) {
      machine.wall_ms += step;
      for (let i = 0; i < 10; i++) {
        machine.pass(7);
        expect(machine.suspension.ms).toBe(0);
      }
    }
    expect(machine.looks).toBe(looks + 3);
  });

  it('is seen also behind a clock that was set', () => {
    const machine = new Machine();
    machine.wall_ms -= 3_600_000;
    machine.sleep(4000);
    expect(Math.abs(machine.suspension.ms - 4000)).toBeLessThan(20);
  });

  it('of this machine is none while a test runs', () => {
    expect(new Suspension().ms).toBe(0);
  });
});
