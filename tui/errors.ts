/**
 * What can go wrong, by what its catcher does next.
 *
 * UserError: show the message and the advice, leave with the exit code. Interrupted: leave quietly. Anything else that
 * reaches the top is a bug. Messages name the object and the remedy, and never hold a secret.
 */
export const exitCodes = { ok: 0, error: 1, usage: 2, denied: 3, unreachable: 4 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export class UserError extends Error {
  readonly advice: readonly string[];
  readonly exitCode: ExitCode;

  constructor(message: string, advice: readonly string[] = [], exitCode: ExitCode = exitCodes.error, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UserError';
    this.advice = advice;
    this.exitCode = exitCode;
  }
}

/** The server answered, and the answer was no. `code` is the contract's word for why. */
export class RefusedError extends UserError {
  readonly status: number;
  readonly code: string | undefined;

  constructor(
    status: number,
    code: string | undefined,
    message: string,
    advice: readonly string[],
    exitCode: ExitCode = exitCodeOf(status),
  ) {
    super(message, advice, exitCode);
    this.name = 'RefusedError';
    this.status = status;
    this.code = code;
  }
}

/** Nothing that speaks tka answered in time. */
export class UnreachableError extends UserError {
  constructor(message: string, advice: readonly string[], cause?: unknown) {
    super(message, advice, exitCodes.unreachable, cause);
    this.name = 'UnreachableError';
  }
}

/** The same call may well succeed in a moment, if it is the right server: it may be starting again. */
export class PassingError extends UnreachableError {}

/** It was the proxy on the way that could not be reached: nothing is known of the server. */
export class ProxyError extends UnreachableError {}

/** A screen has shown the error, its cause, already: leave with the exit code and say nothing more. */
export class Shown extends UserError {
  constructor(cause: UserError) {
    super(cause.message, cause.advice, cause.exitCode, cause);
    this.name = 'Shown';
  }
}

/** A signal asked the process to stop; `exitCode` is 128 and the signal's number, as shells have it. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.name = 'Interrupted';
    this.exitCode = 128 + (signalNumbers[signal] ?? 0);
  }
}

export function usageError(message: string, advice: readonly string[] = []): UserError {
  return new UserError(message, advice, exitCodes.usage);
}

/** The system's word for an error (`ENOENT`), where it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What `work` returns; undefined if it fails with a system error. */
export function ifSystemAllows<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

function exitCodeOf(status: number): ExitCode {
  if (status === 401 || status === 403) return exitCodes.denied;
  if (status === 502 || status === 503 || status === 504) return exitCodes.unreachable;
  return exitCodes.error;
}
