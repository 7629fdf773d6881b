/**
 * What a start has to stop, and how: the last started first, each within a deadline, so that one that hangs does not block the
 * others.
 */
import type { Logger } from 'pino';

export interface Stops {
  /** `what` names it in the log if it does not stop cleanly. */
  add(what: string, stop: () => Promise<void> | void): void;
  /** Stops all in the opposite order of add(). Never rejects. */
  run(): Promise<void>;
}

/** `withinMs`: for each. */
export function createStops(log: Pick<Logger, 'warn'>, withinMs: number): Stops {
  const stops: { readonly what: string; readonly stop: () => Promise<void> | void }[] = [];
  return {
    add: (what, stop) => void stops.push({ what, stop }),
    async run() {
      for (const { what, stop } of stops.toReversed()) {
        try {
          await Promise.race([stop(), overdue(withinMs)]);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          log.warn({ what, reason }, 'something did not stop cleanly');
        }
      }
    },
  };
}

function overdue(ms: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    AbortSignal.timeout(ms).addEventListener('abort', () => reject(new Error('it did not stop in time')));
  });
}

/** Resolves when the work does, or when `stop` aborts; rejects if the work rejects first. */
export async function orStopped(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const onAbort = (): void => stopped.resolve();
  if (stop.aborted) onAbort();
  stop.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work, stopped.promise]);
  } finally {
    stop.removeEventListener('abort', onAbort);
    work.catch(() => {});
  }
}
