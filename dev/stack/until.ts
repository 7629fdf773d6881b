/**
 * Waiting for a condition in the world outside this process, where nothing announces it.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  /** Names what is waited for, in the error. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Resolves with the first answer that is neither undefined nor false. What `check` throws is the reason to try again,
 * and the cause of the error when time is up; a `GiveUpError` is passed on at once.
 */
export async function until<T>(
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const { what, timeoutMs, everyMs = 40, signal } = options;
  const startedAt = performance.now();
  let cause: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      if (error instanceof GiveUpError) throw error;
      cause = error;
    }
    if (performance.now() - startedAt > timeoutMs) {
      throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause });
    }
    await delay(everyMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** It will never come true: stop waiting. */
export class GiveUpError extends Error {
  override readonly name: string = 'GiveUpError';
}
