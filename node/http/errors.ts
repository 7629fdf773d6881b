/**
 * The errors that a caller of the API sees, and the translation of any error into an answer.
 *
 * An ApiError is shown to the caller: its message names the object and the remedy, and never contains a secret. Any other error is a
 * bug: 500 with only the request's ID, details in the log alone. The answer has no `cause`: released clients read that field as an
 * object, and lose the whole message if it is a string.
 */
import type { ErrorCode, ErrorResponse } from './contract.ts';

interface ApiErrorOptions {
  readonly advice?: readonly string[];
  /** Seconds after which the same call may succeed. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Only for the log. */
  readonly cause?: unknown;
}

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly expose = true;
  readonly status: number;
  readonly code: ErrorCode;
  readonly advice: readonly string[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.advice = options.advice ?? [];
    this.headers = {
      ...(options.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(options.retryAfterSeconds) }),
      ...options.headers,
    };
  }
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorResponse;
  /** True for an unexpected error, which belongs in the log. */
  readonly isBug: boolean;
}

export function answerOf(error: unknown, requestId: string): ErrorAnswer {
  if (error instanceof ApiError) {
    const { status, headers, message, advice, code } = error;
    return { status, headers, body: { message, advice, code }, isBug: status >= 500 && error.cause !== undefined };
  }
  return {
    status: 500,
    headers: {},
    body: {
      message: 'internal error',
      advice: [`this is a bug in tka: its log has the details under request ${requestId}`],
      code: 'internal',
    },
    isBug: true,
  };
}
