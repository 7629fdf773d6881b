/**
 * Retries while a server restarts: it answers 503 until it is ready, and before that nothing listens. Every call of a
 * login may be repeated: it yields the same session.
 *
 * A server that answered before is waited for until `signal` ends it; one that has never answered may be the wrong one,
 * so a refused connection is then waited out for 10 s only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { PassingError, RefusedError, UserError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';

export type Retry = <T>(ask: () => Promise<T>) => Promise<T>;

export interface RetryOptions {
  /** Ends the waiting; the last failure is then what it fails with. */
  readonly signal: AbortSignal;
  /** Called once, when waiting begins. */
  readonly warn: (line: string) => void;
  readonly now: Runtime['now'];
  readonly firstContactTimeoutMs?: number;
}

export function createRetry({ signal, warn, now, firstContactTimeoutMs = 10_000 }: RetryOptions): Retry {
  const startedAt = now().getTime();
  let hasAnswered = false;
  let hasWarned = false;
  return async (ask) => {
    let failure: UserError | undefined;
    for (let pauseMs = 200; ; pauseMs = Math.min(2000, pauseMs * 2)) {
      try {
        const answer = await ask();
        hasAnswered = true;
        return answer;
      } catch (error) {
        // The attempt that the deadline cut short says less than the one before.
        if (!(error instanceof UserError)) throw isTimedOut(signal) ? (failure ?? error) : error;
        if (!isPassing(error)) throw error;
        failure = error;
        hasAnswered ||= error instanceof RefusedError;
        if (!hasAnswered && now().getTime() + pauseMs - startedAt > firstContactTimeoutMs) throw error;
        if (!hasWarned) warn(`${error.message}: trying again`);
        hasWarned = true;
        await pause(pauseMs, signal, error);
      }
    }
  };
}

async function pause(ms: number, signal: AbortSignal, failure: UserError): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (aborted) {
    throw isTimedOut(signal) ? failure : aborted;
  }
}

function isTimedOut({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof Error && reason.name === 'TimeoutError';
}

function isPassing(error: UserError): boolean {
  return error instanceof PassingError || (error instanceof RefusedError && error.status === 503);
}
