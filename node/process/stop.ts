/** Waiting that a stop ends, and stopping that waits for nothing too long. */
import type { Logger } from 'pino';

/** Resolves when the work does, or `stop` aborts; rejects when the work does before. */
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

/** One that hangs must not keep the others up; the requests have a deadline of their own. */
export async function takeDown(
  what: string,
  down: () => Promise<void> | void,
  { log, withinMs }: { readonly log: Pick<Logger, 'warn'>; readonly withinMs: number },
): Promise<void> {
  const late = AbortSignal.timeout(withinMs);
  const overdue = new Promise<never>((_resolve, reject) => {
    late.addEventListener('abort', () => reject(new Error('it did not stop in time')));
  });
  try {
    await Promise.race([down(), overdue]);
  } catch (error) {
    log.warn(
      { what, reason: error instanceof Error ? error.message : String(error) },
      'something did not stop cleanly',
    );
  }
}
