/**
 * Time as an argument. Delays are clamped: setTimeout fires at once for anything over 2^31-1 ms.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after at least `ms` (or at the longest possible timer, if that is sooner); the result cancels. */
  schedule(callback: () => void, ms: number): () => void;
}

export const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(callback, ms) {
    const timer = setTimeout(callback, Math.min(Math.max(0, ms), maxTimerMs));
    return () => clearTimeout(timer);
  },
};

/**
 * Elapsed time from an arbitrary start: the larger of what the monotonic and the wall clock measure. Setting the wall clock back
 * does not stop it, and it counts the time that the machine slept, which the monotonic clock may not.
 */
export function createElapsedClock(
  wall: () => number = Date.now,
  steady: () => number = () => performance.now(),
): Clock {
  let passed = 0;
  let last = { wall: wall(), steady: steady() };
  return {
    ...systemClock,
    now() {
      const next = { wall: wall(), steady: steady() };
      passed += Math.max(0, next.wall - last.wall, next.steady - last.steady);
      last = next;
      return passed;
    },
  };
}

/** Resolves after `ms`; rejects with the signal's reason if that comes first. */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      // The reason of an abort is whatever the aborter gave; it is passed on as it is.
      reject(signal.reason as Error);
    };
    const cancel = clock.schedule(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** The promise's result, or the signal's reason if that comes first. The work behind the promise continues. */
export async function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    // As above: the aborter's reason, unchanged.
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
