/** The smallest protocol there is: clients that say hello and expect nothing. */
import type { FakeClient } from 'swarm';

export async function heartbeat(client: FakeClient, { uid }: { uid: number }): Promise<void> {
  await client.send_noreply(`hello ${uid}\r\n`);
}

export async function close_connection(client: FakeClient): Promise<void> {
  await client.close_connection();
}
