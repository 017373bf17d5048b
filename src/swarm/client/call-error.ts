/** What a call rejects with when its connection ends: a code, no stack (taking one costs twenty times the rest). */
import type { FailureCode } from '../../foundation/errors.ts';

export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: string;
  private constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
  /** `code`: one of FAILURES, or the system's errno unchanged. */
  static make(code: FailureCode | (string & {}), text: string): CallError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    const error = new CallError(code, text);
    Error.stackTraceLimit = limit;
    return error;
  }
}
