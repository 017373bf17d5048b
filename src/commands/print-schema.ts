/** `swarm schema`: the JSON Schema of a script. */
import type { Io } from '../foundation/io.ts';
import { SCRIPT_SCHEMA } from '../script/schema.ts';

export async function print_schema(io: Io): Promise<number> {
  io.out.line(JSON.stringify(SCRIPT_SCHEMA, null, 2));
  return 0;
}
