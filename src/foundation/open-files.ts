/**
 * How many files the operating system lets this process open. Linux tells through /proc, elsewhere Node's diagnostic
 * report does.
 */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Descriptors that clients may not use, so that console, logs and summary file keep working when all others are taken.
 */
export const RESERVED_FILES = 100;

/** The most that --workers takes. */
export const MAX_WORKERS = 64;

export interface OpenFiles {
  /** the bound in force; {@link UNLIMITED} when there is none */
  readonly soft: number;
  /** how far a process may raise `soft`; Node raised it that far at start */
  readonly hard: number;
  /** open now; 0 when the system does not tell */
  readonly used: number;
}

/** No bound: more clients than the console's eight digits can ask for. A number, so that it stays one in JSON. */
export const UNLIMITED = 99_999_999;

const number_of = (word: string | number | undefined): number => (word === 'unlimited' ? UNLIMITED : Number(word));

/** How many files may be open, from the text of /proc/self/limits; null when it does not say. */
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
    tried(from_report) ?? { soft: UNLIMITED, hard: UNLIMITED }; // Windows has no such bound
  // the listing holds its own descriptor too
  const used = tried(() => readdirSync('/proc/self/fd').length - 1) ?? 0;
  return { ...bounds, used };
}

/**
 * How many clients this process can hold, and what bounds it, for the operator. Ask before the first client connects:
 * files open by then beyond the reserved ones are subtracted.
 */
export function capacity(files: OpenFiles = open_files()): { clients: number; why: string } {
  const { soft, used } = files;
  return {
    clients: Math.max(0, soft - Math.max(RESERVED_FILES, used)),
    why: `open files ${soft === UNLIMITED ? 'unlimited' : soft} per process`,
  };
}
