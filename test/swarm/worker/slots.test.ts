/** Rated actions of a whole process, over real sockets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import { now } from '../../../src/foundation/clock.ts';
import type { ActionSnapshot } from '../../../src/metrics/snapshot.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import { part_of } from '../../../src/swarm/plan/segment.ts';
import { start_ledger } from '../../ledger.ts';
import { after, pause, PlayedProcess } from '../client/played-process.ts';
import { imbalances, type OneProcessOptions } from '../one-process.ts';
import { at_rates, in_the_first_second, rate_orders, SteeredRate } from '../rates.ts';

const here = new PlayedProcess();
const play = here.play.bind(here);

const ask = (client: FakeClient): Promise<unknown> => client.send_for_reply('hi\r\n', line());
const only_say: Pick<OneProcessOptions, 'commands' | 'actions'> = {
  commands: { say: ask },
  actions: { say: { rate: {} } },
};
const past = (): number => now() - 1000;
const slots_of = ({ actions }: { readonly actions: readonly ActionSnapshot[] }) => actions[0]!.slots!;

describe('slots for which no client was free', () => {
  it('are dropped beyond the backlog, the oldest first: no burst when one comes', async () => {
    const e = await play(undefined, { ...only_say, run: { max_backlog: 20 }, zero_ms: past() }, 0);
    e.apply(0, 'run', in_the_first_second(1000));
    expect(slots_of(e.books())).toMatchObject({ planned: 1000, waiting: 20, dropped: { backlog: 980 } });
    e.apply(5, 'run', in_the_first_second(1000));
    const books = await e.until((b) => slots_of(b).waiting === 0);
    expect(books.actions[0]!.started).toBe(20);
    // they were due in the last 20 ms of the first second
    const { response } = (await e.until((b) => b.actions[0]!.ok === 20)).actions[0]!;
    expect(response.count).toBe(20);
  });

  it('are dropped when they are too late', async () => {
    const e = await play(
      undefined,
      { ...only_say, actions: { say: { rate: { give_up_ms: 300 } } }, zero_ms: past() },
      0,
    );
    e.apply(0, 'run', in_the_first_second(100));
    const books = e.books();
    expect(slots_of(books).planned).toBe(100);
    // those up to 700 ms are by now
    expect(slots_of(books).dropped.no_free_client).toBeGreaterThanOrEqual(70);
    await e.until((b) => slots_of(b).dropped.no_free_client === 100);
  });

  it('while the server was away: what is due later is played when it is back', async () => {
    const e = await play(undefined, {
      ...only_say,
      actions: { say: { rate: { give_up_ms: 50 } } },
      run: { max_backlog: 1000 },
    });
    e.apply(5, 'run', at_rates({ 0: 500 }));
    await e.until((b) => b.actions[0]!.ok > 50);
    const { port } = here.ledger!;
    await here.ledger!.close();
    const away = await e.until((b) => slots_of(b).dropped.no_free_client > 20);
    expect(away.connections.open).toBe(0);
    here.ledger = await start_ledger({ port });
    const back = await e.until((b) => b.actions[0]!.ok > away.actions[0]!.ok + 100);
    expect(back.connections.established).toBeGreaterThanOrEqual(10);
    // what waited when it came back is at most what was due in the last 50 ms, and in those that passed meanwhile
    expect(back.actions[0]!.started).toBeLessThan(slots_of(back).planned);
  });
});

describe('slots of a member', () => {
  it('are those of its places', async () => {
    const stretch = { from: 250_000, to: 500_000 };
    const rates = {
      0: {
        ...rate_orders([
          [400, 1e6],
          [0, Infinity],
        ]),
        tenures: [{ id: 7, first: 101, closing: false, ...stretch }],
      },
    };
    const e = await play(undefined, { ...only_say, zero_ms: past() });
    e.apply(3, 'run', { rates });
    const own = part_of(stretch, 400) - part_of(stretch, 100);
    const books = await e.until((b) => b.actions[0]!.ok === own);
    expect(slots_of(books)).toMatchObject({ planned: own, waiting: 0 });
    expect(e.population.count_slots()).toEqual([{ id: 7, at: expect.any(Number) as number, closed: null }]);
    e.apply(3, 'run', { rates: { 0: { ...rates[0], tenures: [{ ...rates[0].tenures[0]!, closing: true }] } } });
    const [closed] = e.population.count_slots();
    expect(closed!.closed).toBe(closed!.at);
  });

  it('end with its permit: none starts any more', async () => {
    const e = await play((_, connection) => after(2, 'ok', connection), only_say);
    e.apply(3, 'run', at_rates({ 0: 500 }));
    await e.until((b) => b.actions[0]!.ok > 20);
    e.population.permit.renew(now() - 1);
    const books = await e.until(() => e.population.live === 0);
    await pause(20);
    expect(e.books().actions[0]!.started).toBe(books.actions[0]!.started);
    expect(slots_of(e.books()).waiting).toBe(0);
  });
});

describe('drawn swarms with rated actions', () => {
  const order = fc.record({
    what: fc.constantFrom('pause' as const, 'decr' as const, 'graceful' as const),
    before_ms: fc.nat(30),
    ms: fc.nat(20),
    clients: fc.nat(5),
  });
  const swarm = fc.record({
    clients: fc.integer({ min: 1, max: 6 }),
    messages: fc.boolean(),
    at_once: fc.integer({ min: 1, max: 3 }),
    loops: fc.constantFrom('none' as const, 'one' as const, 'two' as const),
    sleep: fc.constantFrom(0, 0.002),
    per_s: fc.integer({ min: 50, max: 1500 }),
    delay_ms: fc.constantFrom(0, 0, 2, 5),
    max_backlog: fc.constantFrom(5, 1000),
    give_up_ms: fc.constantFrom(10, 5000),
    faults: fc.array(fc.tuple(fc.nat(100), fc.constantFrom('close' as const, 'reset' as const, 'script' as const)), {
      maxLength: 6,
    }),
    orders: fc.array(order, { maxLength: 4 }),
    ends: fc.constantFrom('drain' as const, 'stop' as const),
  });

  it('start no slot early, keep to what a client may have at once, and account for each', async () => {
    await fc.assert(
      fc.asyncProperty(swarm, async (s) => {
        const at_once = s.messages ? s.at_once : 1;
        const faults = new Map(s.faults);
        const zero_ms = now();
        const faulty: string[] = [];
        const say_at_once = new Map<unknown, number>();
        const any_at_once = new Map<unknown, number>();
        let requests = 0;
        let started = 0;
        const count = (counts: Map<unknown, number>, { memory }: FakeClient, by: number): number => {
          const running = (counts.get(memory) ?? 0) + by;
          counts.set(memory, running);
          return running;
        };
        const round = async (client: FakeClient): Promise<void> => {
          if (faults.get(++requests) === 'script') return await client.close();
          const text = `n${requests}\r\n`;
          if (s.messages)
            await client.send_for_reply(
              text,
              match(() => true),
            );
          else await client.send_for_reply(text, line());
        };
        const say = async (client: FakeClient): Promise<void> => {
          if (++started > ((now() - zero_ms) / 1000) * s.per_s) faulty.push(`slot ${started} is early`);
          if (imbalances(e.books()).length > 0) faulty.push(...imbalances(e.books()));
          if (count(say_at_once, client, 1) > at_once) faulty.push('too many slots at once');
          if (count(any_at_once, client, 1) > 1 && !s.messages) faulty.push('a slot beside a round');
          await round(client);
          count(say_at_once, client, -1);
          count(any_at_once, client, -1);
        };
        const ping = async (client: FakeClient): Promise<void> => {
          if (count(any_at_once, client, 1) > 1 && !s.messages) faulty.push('a round beside a slot');
          await round(client);
          count(any_at_once, client, -1);
        };
        const sleeps = { between: [s.sleep, s.sleep] } as const;
        const both = { none: ['say'], one: ['say', 'ping'], two: ['say', 'ping'] }[s.loops];
        // two loops whose rounds wait for replies need `messages`
        const two = s.loops === 'two' && s.messages;
        const e = await play(
          (text, connection) => {
            const fault = faults.get(Number(text.slice(1)));
            if (fault === 'close' || fault === 'reset') return fault;
            return s.delay_ms === 0 ? { text } : after(s.delay_ms, text, connection);
          },
          {
            commands: { say, ping, pong: ping },
            actions: { say: { rate: { at_once, give_up_ms: s.give_up_ms } }, ping: sleeps, pong: sleeps },
            loops: { main: { commands: both }, ...(two && { other: { commands: ['pong'] } }) },
            module: {
              ...(s.messages && { messages: line() }),
              connected({ memory }) {
                say_at_once.set(memory, 0);
                any_at_once.set(memory, 0);
              },
            },
            run: { max_backlog: s.max_backlog },
            zero_ms,
          },
          0,
        );
        const rate = new SteeredRate(s.per_s, zero_ms);
        const look = (): void => void faulty.push(...imbalances(e.books()));
        e.apply(s.clients, 'run', rate.share());
        for (const { what, before_ms, ms, clients } of s.orders) {
          await pause(before_ms);
          look();
          if (what === 'pause') e.apply(s.clients, 'pause', rate.hold());
          else e.apply(Math.min(clients, s.clients), 'run', { ...rate.share(), graceful: what === 'graceful' });
          look();
          await pause(ms);
          look();
          e.apply(s.clients, 'run', what === 'pause' ? rate.release() : rate.share());
        }
        const before = e.books().actions[0]!.ok;
        await e.until((b) => b.actions[0]!.ok > before + 5);
        e.apply(s.clients, s.ends, rate.hold());
        const end = await e.until(() => e.population.live === 0);
        if (slots_of(end).waiting > 0) faulty.push('a slot waits at the end');
        expect(faulty).toEqual([]);
        expect(e.bugs).toEqual([]);
        await here.end();
      }),
      { numRuns: 40 },
    );
  });
});
