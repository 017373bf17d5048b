/** A process of its own that plays every `step`-th seed of a range and says which failed: `plays from to step`. */
import { play, play_of } from './swarm.ts';

const MAX_FAILED = 20;

async function main(): Promise<void> {
  const [from, to, step] = process.argv.slice(2).map(Number) as [number, number, number];
  let [played, failed] = [0, 0];
  for (let seed = from; seed <= to && failed < MAX_FAILED; seed += step) {
    played++;
    try {
      await play(seed, play_of(seed));
    } catch (error) {
      failed++;
      console.log(`seed ${seed}: ${(error as Error).message}`);
    }
  }
  console.log(`played ${played}`);
}

void main();
