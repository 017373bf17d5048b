/** What the operating system lets this process hold. Linux tells through /proc; elsewhere Node's diagnostic report does. */
import { readdirSync, readFileSync } from 'node:fs';

/** Descriptors kept from the clients, so that console, logs and summary file keep working when every other one is taken. */
export const RESERVED_FILES = 100;

/** What --workers takes at most. */
export const MAX_WORKERS = 64;

export interface OpenFiles {
  /** the limit in force; {@link UNLIMITED} when there is none */
  readonly soft: number;
  /** how far the administrator lets it rise: Node has raised `soft` to it at start */
  readonly hard: number;
  /** open now; 0 when the system does not tell */
  readonly used: number;
}

/** More clients than the console's eight digits can ask for; a number, so that it stays one in JSON. */
export const UNLIMITED = 99_999_999;

const number_of = (word: string | number | undefined): number => (word === 'unlimited' ? UNLIMITED : Number(word));

/** How many files may be open, from the text of /proc/self/limits; null when they are not there. */
export function parse_open_files(text: string): { soft: number; hard: number } | null {
  const found = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(text);
  return found && { soft: number_of(found[1]), hard: number_of(found[2]) };
}

function from_report(): { soft: number; hard: number } | null {
  const report = process.report?.getReport() as
    { userLimits?: { open_files?: { soft: string; hard: string } } } | undefined;
  const files = report?.userLimits?.open_files;
  return files ? { soft: number_of(files.soft), hard: number_of(files.hard) } : null;
}

export function open_files(): OpenFiles {
  const tried = <T>(f: () => T): T | null => {
    try {
      return f();
    } catch {
      return null;
    }
  };
  const bounds = tried(() => parse_open_files(readFileSync('/proc/self/limits', 'utf8'))) ??
    tried(from_report) ?? { soft: UNLIMITED, hard: UNLIMITED }; // Windows has no such limit
  // the listing holds its own descriptor too
  const used = tried(() => readdirSync('/proc/self/fd').length - 1) ?? 0;
  return { ...bounds, used };
}

/**
 * How many clients this process can hold, and what bounds it, for the operator. Ask before the first client connects: files
 * open now beyond the reserved ones count against it.
 */
export function capacity(files: OpenFiles = open_files()): { clients: number; why: string } {
  const { soft, used } = files;
  return {
    clients: Math.max(0, soft - Math.max(RESERVED_FILES, used)),
    why: `open files ${soft === UNLIMITED ? 'unlimited' : soft} per process`,
  };
}
