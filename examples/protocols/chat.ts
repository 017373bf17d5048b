/**
 * A chat room in which everybody hears everybody: the server pushes `MSG <room> <user> <text>` at any moment, between a
 * request and its reply too. So the module says how the inbound stream is cut (`messages`), what each call waits for (`match`), and what
 * becomes of the rest (`on_message`).
 */
import { line, match, wrong_reply, type FakeClient } from 'swarm';

/** Clients spread over so many rooms. */
const ROOMS = 50;

export const messages = line('\r\n');

/** What no call was waiting for: the talk of the others. */
export function on_message(client: FakeClient, message: string): void {
  if (message.startsWith('ERR')) throw wrong_reply(message);
  if (message.startsWith('MSG ')) client.memory.heard = heard_by(client) + 1;
}

/** Runs after every connect. A client that comes back enters the room it was in: memory outlives the connection. */
export async function connected(client: FakeClient): Promise<void> {
  client.memory.room ??= client.random.int(1, ROOMS);
  await ask(client, `enter ${client.id} ${room_of(client)}`, 'OK enter');
}

/** The script's args are checked against these before the first connection. */
export const args = {
  say: {
    type: 'object',
    required: ['texts'],
    additionalProperties: false,
    properties: {
      texts: {
        type: 'array',
        minItems: 1,
        items: { type: 'string', pattern: '^[^\\r\\n]+$' },
        description: 'one is said each round',
      },
    },
  },
};

/** Says something and waits to hear it: the round takes as long as a message takes through the server. */
export async function say(client: FakeClient, { texts }: { texts: readonly string[] }): Promise<void> {
  const room = room_of(client);
  const text = `${client.random.pick(texts)} (${heard_by(client)} heard, ${client.random.int(0, 999_999)})`;
  await ask(client, `say ${room} ${text}`, `MSG ${room} ${client.id} ${text}`);
}

export async function heartbeat(client: FakeClient): Promise<void> {
  await ask(client, `heartbeat ${client.id}`, 'OK heartbeat');
}

async function ask(client: FakeClient, request: string, awaited: string): Promise<void> {
  await client.send_for_reply(
    `${request}\r\n`,
    match<string>((message) => message.startsWith(awaited)),
  );
}

const room_of = (client: FakeClient): number => client.memory.room as number;
const heard_by = (client: FakeClient): number => (client.memory.heard as number | undefined) ?? 0;
