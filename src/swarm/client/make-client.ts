/** Which kind of client a group has: each costs only what its script needs. */
import { LoopsClient } from './loops-client.ts';
import { RatedClient } from './rated-client.ts';
import { RatedLoopsClient } from './rated-loops-client.ts';
import { Client, FiniteClient, type RunnerRules } from './runner.ts';

/** `iterations`: how many it plays; null: without end, or with several loops as many as each loop says. */
export function make_client(id: number, rules: RunnerRules, iterations: number | null): Client {
  const several = rules.loops.length > 1;
  if (rules.desks.length > 0) {
    if (several || rules.messages !== null) return new RatedLoopsClient(id, rules, iterations);
    return new RatedClient(id, rules, iterations ?? Infinity);
  }
  if (several) return new LoopsClient(id, rules);
  return iterations === null ? new Client(id, rules) : new FiniteClient(id, rules, iterations);
}
