/**
 * A chat server's protocol, request by request: every line ends with CR LF and is answered with `OK …` or `ERR …`.
 *
 * It knows replies only. In a room where others speak the server also pushes lines that nobody asked for: see chat.ts.
 */
import { reply_parser_crlf, wrong_reply, type FakeClient } from 'swarm';

interface User {
  uid: number;
}

interface Member extends User {
  rid: number;
}

export async function heartbeat(client: FakeClient, { uid }: User): Promise<void> {
  await ask(client, `heartbeat ${uid}`);
}

export async function create_chatroom(client: FakeClient, { uid, rid }: Member): Promise<void> {
  await ask(client, `create ${uid} ${rid}`);
}

export async function enter_chatroom(client: FakeClient, { uid, rid }: Member): Promise<void> {
  await ask(client, `enter ${uid} ${rid}`);
}

export async function leave_chatroom(client: FakeClient, { uid, rid }: Member): Promise<void> {
  await ask(client, `leave ${uid} ${rid}`);
}

export async function close_chatroom(client: FakeClient, { uid, rid }: Member): Promise<void> {
  await ask(client, `closeroom ${uid} ${rid}`);
}

export async function close_connection(client: FakeClient): Promise<void> {
  await client.close_connection();
}

async function ask(client: FakeClient, request: string): Promise<void> {
  const reply = await client.send_for_reply(`${request}\r\n`, reply_parser_crlf());
  if (!reply.startsWith('OK')) throw wrong_reply(reply);
}
