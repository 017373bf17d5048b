/** What a call of a protocol function rejects with when its connection ends: a code, no stack (taking one costs twenty times the rest). */
import type { FailureCode } from '../../foundation/errors.ts';

export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: string;
  private constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
  /** `code`: one of FAILURES, or an errno of the system as it is. */
  static make(code: FailureCode | (string & {}), text: string): CallError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    const error = new CallError(code, text);
    Error.stackTraceLimit = limit;
    return error;
  }
}
