import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { now, Timer, Wheel } from '../../src/foundation/clock.ts';

function world(tick = 4, slots = 16) {
  const clock = { now: 1000 };
  const wheel = new Wheel(tick, slots, () => clock.now);
  const fired: string[] = [];
  const timer = (name: string, run: () => void = () => {}): Timer<string> =>
    new Timer(name, (owner) => {
      fired.push(owner);
      run();
    });
  const advance = (ms: number): void => {
    clock.now += ms;
    wheel.advance();
  };
  return { clock, wheel, fired, timer, advance };
}

describe('Wheel', () => {
  it('fires at the first tick at or after the due instant, never before', () => {
    const { wheel, fired, timer, advance } = world();
    wheel.arm(timer('a'), 1010);
    advance(9);
    expect(fired).toEqual([]);
    advance(3);
    expect(fired).toEqual(['a']);
    expect(wheel.armed).toBe(0);
    wheel.stop();
  });

  it('keeps waits longer than a turn of the wheel', () => {
    const { wheel, fired, timer, advance } = world(4, 16);
    wheel.arm(timer('far'), 1000 + 4 * 16 * 5);
    for (let i = 0; i < 79; i++) advance(4);
    expect(fired).toEqual([]);
    advance(4);
    expect(fired).toEqual(['far']);
    wheel.stop();
  });

  it('plays every slot once after a stall longer than a turn', () => {
    const { wheel, fired, timer, advance } = world(4, 16);
    for (let i = 1; i <= 40; i++) wheel.arm(timer(String(i)), 1000 + 4 * i);
    advance(4 * 30);
    expect(fired.length).toBe(30);
    advance(4 * 100);
    expect(fired.length).toBe(40);
    wheel.stop();
  });

  it('a timer may disarm, re-arm or arm others while they fire', () => {
    const { wheel, fired, timer, advance } = world();
    const b = timer('b');
    const a = timer('a', () => {
      wheel.disarm(b);
      if (fired.length < 3) wheel.arm(a, 1050);
    });
    wheel.arm(b, 1020);
    wheel.arm(a, 1020); // fires first or second: either way b fires at most once
    advance(24);
    advance(40);
    advance(40);
    expect(fired.filter((name) => name === 'a').length).toBeGreaterThanOrEqual(2);
    expect(wheel.armed).toBe(0);
    wheel.stop();
  });

  it('re-arming moves, disarming is idempotent', () => {
    const { wheel, fired, timer, advance } = world();
    const t = timer('t');
    wheel.arm(t, 1008);
    wheel.arm(t, 1100);
    expect(wheel.armed).toBe(1);
    advance(50);
    expect(fired).toEqual([]);
    wheel.disarm(t);
    wheel.disarm(t);
    expect([wheel.armed, t.armed]).toEqual([0, false]);
    advance(100);
    expect(fired).toEqual([]);
    wheel.stop();
  });

  it('reads what has arrived before it plays a tick that comes late', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [Socket];
    const wheel = new Wheel();
    const order: string[] = [];
    client.on('data', () => order.push('read'));
    const played = new Promise<void>((done) => {
      wheel.arm(new Timer(null, () => (order.push('played'), done())), now() + 20);
    });
    accepted.write('x'); // it is in the kernel now, and this turn goes on until long after the tick
    for (const until = now() + 150; now() < until;);
    await played;
    expect(order).toEqual(['read', 'played']);
    client.destroy();
    server.close();
    wheel.stop();
  });

  it('property: fires exactly the armed ones, each within a tick of its due instant at every step', () => {
    const step = fc.record({
      wait: fc.integer({ min: 1, max: 300 }),
      disarm: fc.boolean(),
      advance: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, wheel, advance } = world(4, 16);
        const due = new Map<Timer, number>();
        let late = 0;
        for (const s of steps) {
          const t: Timer = new Timer<unknown>(null, () => {
            if (clock.now < due.get(t)!) late++;
            due.delete(t);
          });
          due.set(t, clock.now + s.wait);
          wheel.arm(t, clock.now + s.wait);
          if (s.disarm) {
            wheel.disarm(t);
            due.delete(t);
          }
          advance(s.advance);
          for (const at of due.values()) if (at <= Math.floor(clock.now / 4) * 4) late++;
        }
        wheel.stop();
        return late === 0 && wheel.armed === due.size;
      }),
    );
  });
});
