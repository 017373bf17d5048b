import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_random } from '../../../src/foundation/random.ts';
import { SlotRecorder } from '../../../src/metrics/recorder.ts';
import { SlotQueue } from '../../../src/swarm/load/slot-queue.ts';
import { nobodys, Tenures } from '../../../src/swarm/load/tenures.ts';
import type { TenureAccount } from '../../../src/swarm/plan/account.ts';
import type { RateOrders, TenureOrders } from '../../../src/swarm/plan/orders.ts';
import {
  begin_rate,
  change_rate,
  hold_rate,
  poisson_key,
  rate_at,
  release_rate,
  slots_by,
  type PlayedRate,
  type RatePiece,
} from '../../../src/swarm/plan/rate-piece.ts';
import { is_in } from './naive-slots.ts';

const TICK_MS = 50;
const END_MS = 60_000;
/** from here on nothing happens any more, and everybody hears the last word */
const CALM_MS = 40_000;
/** from here on all that was asked for is handed over */
const LAST_DEAL_MS = 55_000;
/** the highest rate, so that the plan catches up with who ran ahead of it */
const CALM_RATE = 120e6;

type Draw = (most: number) => number;

interface Report {
  readonly number: number;
  readonly accounts: readonly TenureAccount[];
  readonly planned: number;
  readonly started: number;
  readonly waiting: number;
  readonly dropped: number;
}

/** A member: what it is told and says arrives when it arrives, and its clock is not exact. */
class Member {
  readonly id: string;
  readonly counts = new SlotRecorder(0);
  readonly queue: SlotQueue;
  readonly #skew_us: number;
  readonly #inbox: { at_ms: number; number: number; orders: RateOrders }[] = [];
  #newest = 0;
  started = 0;
  /** started before they were due, or due and not made */
  #early = 0;
  #reports = 0;
  /** how many it can start in a tick */
  readonly #busy: number;

  constructor(id: string, draw: Draw) {
    this.id = id;
    this.queue = new SlotQueue(this.counts, 500_000 + draw(3_000_000), draw(2) === 0 ? null : draw(300));
    this.#skew_us = (draw(100) - 50) * 1000;
    this.#busy = draw(8);
  }

  send(at_ms: number, number: number, orders: RateOrders): void {
    this.#inbox.push({ at_ms, number, orders });
  }

  tick(now_ms: number, skew_us = this.#skew_us): void {
    for (const { number, orders } of this.#arrived(now_ms)) {
      if (number <= this.#newest) continue; // the newest wins
      this.#newest = number;
      this.queue.follow(orders);
    }
    const now_us = now_ms * 1000 + skew_us;
    this.queue.make(now_us);
    for (let k = 0; k < this.#busy && this.queue.waiting > 0; k++) {
      if (this.queue.take() > now_us) this.#early++;
      this.started++;
    }
    if (this.queue.next_us <= now_us) this.#early++;
  }

  report(): Report {
    const { planned, waiting, dropped } = this.counts;
    const all = Object.values(dropped).reduce((a, b) => a + b, 0);
    expect([planned, this.#early]).toEqual([this.started + waiting + all, 0]);
    return {
      number: ++this.#reports,
      accounts: this.queue.accounts(),
      planned,
      started: this.started,
      waiting,
      dropped: all,
    };
  }

  *#arrived(now_ms: number): Generator<{ number: number; orders: RateOrders }> {
    for (const message of this.#inbox.splice(0)) {
      if (message.at_ms <= now_ms) yield message;
      else this.#inbox.push(message);
    }
  }
}

/** Which slots of which places somebody had: what all of them together must have is each slot once. */
interface Had {
  readonly tenure: TenureOrders;
  readonly last: number;
}

class Sim {
  readonly #draw: Draw;
  #members: Member[] = [];
  #joined = 0;
  readonly #tenures = new Tenures(nobodys({ from: 0, to: 1_000_000 }), () => ++this.#ids);
  #ids = 0;
  #rate: PlayedRate;
  #pieces: RatePiece[];
  #number = 0;
  /** what the leader has heard, and hears later */
  readonly #heard = new Map<string, Report>();
  #reports: { at_ms: number; from: string; report: Report }[] = [];
  readonly #had: Had[] = [];
  /** of the dead: what they reported; and slots that nobody knows about */
  #planned_dead = 0;
  #lost = 0;
  readonly #key: number;
  readonly #poisson: boolean;

  constructor(seed: number, draw: Draw) {
    this.#draw = draw;
    this.#key = poisson_key(String(seed), 'main.0');
    this.#poisson = draw(3) === 0;
    this.#rate = begin_rate(0, { to_rate: draw(120) * 1e6, over_us: 0, poisson: this.#poisson }, this.#key);
    this.#pieces = [this.#rate.piece];
    for (let k = draw(6); k >= 0; k--) this.#join();
  }

  run(): void {
    for (let now = 0; now < END_MS; now += TICK_MS) {
      if (now < CALM_MS) this.#happen(now);
      else if (now === CALM_MS) this.#calm(now);
      for (const member of this.#members) member.tick(now);
      this.#talk(now);
    }
    // all have caught up with the plan: they stand at its last slot, whatever their clocks say
    for (const member of this.#members) member.tick(END_MS + 1000, 0);
    this.#check((END_MS + 1000) * 1000);
  }

  #join(): void {
    this.#members.push(new Member(`m${this.#joined++}`, this.#draw));
  }

  #happen(now: number): void {
    const draw = this.#draw;
    if (draw(60) === 0) this.#change(now, false);
    if (draw(100) === 0 && this.#members.length < 7) this.#join();
    if (draw(120) === 0 && this.#members.length > 0) this.#die(now);
  }

  #change(now: number, is_calm: boolean): void {
    const draw = this.#draw;
    const at = now * 1000;
    const change = {
      to_rate: is_calm ? CALM_RATE : draw(4) === 0 ? 0 : draw(120) * 1e6,
      over_us: is_calm ? 0 : draw(3) * 2_345_678,
      poisson: this.#poisson,
    };
    if (is_calm) this.#rate = change_rate(release_rate(this.#rate, at), at, change, this.#key);
    else if (draw(4) === 0) this.#rate = this.#rate.held ? release_rate(this.#rate, at) : hold_rate(this.#rate, at);
    else this.#rate = change_rate(this.#rate, at, change, this.#key);
    this.#pieces = [...this.#pieces.filter(({ from_us }) => from_us < at), this.#rate.piece].slice(-1 - draw(5));
  }

  #calm(now: number): void {
    if (this.#members.length === 0) this.#join();
    this.#change(now, true);
  }

  #die(now: number): void {
    const [dead] = this.#members.splice(this.#draw(this.#members.length - 1), 1);
    const report = this.#heard.get(dead!.id);
    const slots = slots_by(this.#rate.piece, now * 1000);
    for (const tenure of this.#tenures.of(dead!.id)) {
      const account = report?.accounts.find(({ id }) => id === tenure.id);
      this.#had.push({ tenure, last: account?.closed ?? Math.max(account?.at ?? 0, tenure.first - 1, slots) });
    }
    this.#planned_dead += report?.planned ?? 0;
    this.#lost += this.#tenures.died(dead!.id, report?.accounts ?? [], slots);
    this.#reports = this.#reports.filter(({ from }) => from !== dead!.id);
  }

  #talk(now: number): void {
    const draw = this.#draw;
    for (const member of this.#members)
      if (now >= LAST_DEAL_MS || draw(3) === 0)
        this.#reports.push({ at_ms: now + this.#delay(now), from: member.id, report: member.report() });
    for (const { from, report } of this.#due_reports(now)) {
      // one that was overtaken says less than what is known
      if (report.number < (this.#heard.get(from)?.number ?? 0)) continue;
      this.#heard.set(from, report);
      const before = this.#tenures.of(from);
      this.#tenures.closed(from, report.accounts);
      for (const { id, closed } of report.accounts) {
        const tenure = before.find((one) => one.id === id);
        if (closed !== null && tenure !== undefined) this.#had.push({ tenure, last: closed });
      }
    }
    const scale = now % 7000 < 3000 ? 1 : 100;
    const parts = this.#members.map(({ id }) => ({ id, weight: draw(5) * scale }));
    if (now < LAST_DEAL_MS) this.#tenures.deal(parts, now);
    this.#number++;
    for (const member of this.#members) {
      if (now < CALM_MS && draw(4) > 0) continue; // lost
      const orders = { pieces: this.#pieces, tenures: this.#tenures.of(member.id) };
      member.send(now + this.#delay(now), this.#number, orders);
    }
  }

  /** Without word for 3 s now and then. */
  #delay(now: number): number {
    if (now >= CALM_MS) return 0;
    return this.#draw(20) === 0 ? 3000 : this.#draw(300);
  }

  #due_reports(now: number): { from: string; report: Report }[] {
    const due = this.#reports.filter(({ at_ms }) => at_ms <= now);
    this.#reports = this.#reports.filter(({ at_ms }) => at_ms > now);
    return due;
  }

  #check(at_us: number): void {
    const all = slots_by(this.#rate.piece, at_us);
    expect(rate_at(this.#rate.piece, at_us)).toBe(CALM_RATE);
    const reports = this.#members.map((member) => ({ member, report: member.report() }));
    for (const { member, report } of reports) {
      const ordered = this.#tenures.of(member.id);
      expect(report.accounts.map(({ id }) => id).sort()).toEqual(ordered.map(({ id }) => id).sort());
      for (const tenure of ordered) {
        const { at, closed } = report.accounts.find(({ id }) => id === tenure.id)!;
        // up to its next own slot it has nothing to look at
        this.#had.push({ tenure, last: closed ?? Math.max(at, all) });
        expect(at).toBeLessThanOrEqual(all);
      }
    }
    const owners = new Uint8Array(all + 1);
    for (const { tenure, last } of this.#had) {
      expect(last).toBeLessThanOrEqual(all);
      for (let n = tenure.first; n <= last; n++) if (is_in(tenure, n)) owners[n]!++;
    }
    expect(owners.findIndex((count, n) => n > 0 && count !== 1)).toBe(-1);
    const planned = reports.reduce((sum, { report }) => sum + report.planned, this.#planned_dead);
    expect(planned + this.#lost).toBe(all);
  }
}

describe('slots of members that come, die and hear late', () => {
  it('have one owner each, and all of them are accounted for', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = make_random(String(seed), 'slots');
        new Sim(seed, (most) => random.int(0, most)).run();
      }),
      { numRuns: 50 },
    );
  });
});
