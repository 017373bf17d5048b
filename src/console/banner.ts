/**
 * What a session shows first, after the original. No line begins with OK or ERR: a script may skip to the first that
 * does.
 */

const BANNER = [
  '',
  '    ===============================',
  '    Welcome to Swarm Remote Console',
  '    ===============================',
  '',
  'Usage:',
];

const USAGE = [
  'incr 1000      -- start 1000 more clients',
  'decr 100       -- end 100 random clients',
  'status         -- what the swarm is doing',
  'stop           -- end the run, every client finishes its round first',
  'quit           -- close this session, the swarm goes on',
  'help           -- all commands',
  '',
];

const AUTH = 'auth TOKEN     -- first, within 5 seconds';

export function banner(needs_token: boolean): string[] {
  return [...BANNER, ...(needs_token ? [AUTH] : []), ...USAGE];
}
