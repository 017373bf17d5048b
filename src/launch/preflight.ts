/** Checks of what would go wrong later, before the first client connects. */
import { lookup } from 'node:dns/promises';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { check_writable, read_secret, write_whole } from '../foundation/files.ts';
import { within } from '../foundation/within.ts';

const RESOLVE_WITHIN_MS = 15_000;
const MIN_TOKEN = 16;

/** @throws SwarmError `name_unknown`. An address needs no name service. */
export async function check_name(host: string): Promise<void> {
  try {
    await within(lookup(host), RESOLVE_WITHIN_MS, () => {
      throw new Error(`no answer within ${RESOLVE_WITHIN_MS / 1000} s`);
    });
  } catch (error) {
    throw new SwarmError('name_unknown', { host, reason: reason_of(error) }, error);
  }
}

/** @throws SwarmError `bad_token_file` */
export const read_token = (file: string): string =>
  or_fault('bad_token_file', file, () => {
    const token = read_secret(file);
    if (token.length < MIN_TOKEN)
      throw new Error(`${token.length} characters can be guessed, wanted at least ${MIN_TOKEN}`);
    return token;
  });

/** @throws SwarmError `bad_summary_path` */
export const check_summary_path = (file: string): void =>
  or_fault('bad_summary_path', file, () => check_writable(file));

/** @throws SwarmError `summary_lost` */
export const write_summary = (file: string, summary: object): void =>
  or_fault('summary_lost', file, () => write_whole(file, `${JSON.stringify(summary, null, 2)}\n`));

function or_fault<T>(code: 'bad_token_file' | 'bad_summary_path' | 'summary_lost', file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new SwarmError(code, { file, reason: reason_of(error) }, error);
  }
}
