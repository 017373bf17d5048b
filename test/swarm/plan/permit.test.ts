import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../../src/foundation/clock.ts';
import { reply_parser_crlf } from '../../../src/protocols/crlf.ts';
import { from_machine_ms, Permit, to_machine_ms } from '../../../src/swarm/plan/permit.ts';
import { start_ledger, type Ledger } from '../../ledger.ts';
import { start_one_process, type OneProcess } from '../one-process.ts';

let ledger: Ledger;
let engine: OneProcess;

afterEach(async () => {
  await engine?.close();
  await ledger?.close();
});

describe('a permit', () => {
  it('runs out once and for good', async () => {
    let times = 0;
    const permit = new Permit(() => times++);
    permit.check();
    permit.renew(now() - 1);
    permit.check();
    permit.expire();
    permit.renew(Infinity);
    expect([permit.is_over, permit.until]).toEqual([true, -Infinity]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(times).toBe(1);
  });

  it('runs out while the machine is suspended, though the clock of the process stands still', () => {
    const suspension = { ms: 1000 };
    const permit = new Permit(() => {}, suspension);
    permit.renew(now() + 5000);
    suspension.ms += 3000;
    expect(permit.has_run_out).toBe(false);
    suspension.ms += 3000;
    expect(permit.has_run_out).toBe(true);
    // sent before, read after it woke
    permit.renew(now() + 5000);
    expect(permit.is_over).toBe(true);
  });

  it('is not shortened by a suspension before it was given', () => {
    const suspension = { ms: 0 };
    const permit = new Permit(() => {}, suspension);
    suspension.ms += 60_000;
    permit.renew(now() + 5000);
    expect(permit.has_run_out).toBe(false);
  });

  it('is told in the time of the machine, which all its processes share', () => {
    const here = now();
    expect(from_machine_ms(to_machine_ms(here))).toBeCloseTo(here, 6);
    const machine = (): number => Number(process.hrtime.bigint()) / 1e6;
    const [before, told, after] = [machine(), to_machine_ms(now()), machine()];
    expect(told).toBeGreaterThan(before - 50);
    expect(told).toBeLessThan(after + 50);
  });
});

describe('a population whose permit ran out', () => {
  it('sends nothing more, not even what a reply leads to, and closes everything', async () => {
    ledger = await start_ledger();
    engine = await start_one_process({
      port: ledger.port,
      commands: {
        // two requests a round: the second one leaves while the first one's reply is read
        ask: async (client) => {
          await client.send_for_reply('one\r\n', reply_parser_crlf());
          await client.send_for_reply('two\r\n', reply_parser_crlf());
        },
      },
    });
    engine.apply(20);
    await engine.until((books) => books.requests.ok >= 200);
    engine.population.permit.renew(now() - 1);
    const { requests } = engine.books();
    const after = await engine.until((books) => books.connections.open === 0);
    expect(after.requests.sent).toBe(requests.sent);
    expect((await ledger.settled()).requests).toBe(requests.sent);
    expect(after.clients.killed.stop).toBe(20);
  });

  it('lets nothing go that was gathered before', async () => {
    ledger = await start_ledger();
    let rounds = 0;
    engine = await start_one_process({
      port: ledger.port,
      commands: {
        // what a round sends goes out at the end of the turn: by then the permit is over
        ask: async (client) => {
          const reply = client.send_for_reply(`${client.id}\r\n`, reply_parser_crlf());
          if (++rounds > 10) engine.population.permit.renew(now() - 1);
          await reply;
        },
      },
    });
    engine.apply(1);
    const after = await engine.until((books) => books.clients.killed.stop === 1);
    expect([after.requests.sent, (await ledger.settled()).requests]).toEqual([11, 10]);
  });

  it('connects nobody', async () => {
    ledger = await start_ledger();
    engine = await start_one_process({ port: ledger.port, commands: { rest: () => {} } });
    engine.population.permit.renew(now() - 1);
    engine.apply(5);
    await engine.until((books) => books.clients.created === books.clients.killed.stop && books.clients.created > 0);
    expect(ledger.books().accepted).toBe(0);
  });
});
