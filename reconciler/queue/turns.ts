/**
 * Work on many items without blocking the event loop or overloading the API server.
 */

/** Yields the items one by one, and lets the event loop run after each `size` of them. */
export async function* inTurns<T>(items: Iterable<T>, size = 100): AsyncGenerator<T> {
  let left = size;
  for (const item of items) {
    if (left === 0) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      left = size;
    }
    left -= 1;
    yield item;
  }
}

/** Works on every item, on at most `limit` at once. Rejects with the first rejection, after the items under way are done. */
export async function eachAtMost<T>(
  limit: number,
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // One iterator for all workers: each takes the next item.
  const rest = items[Symbol.iterator]();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && !hasFailed; next = rest.next()) {
      try {
        await work(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: limit }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Runs work as it is given, at most `limit` at once; the rest waits its turn in order. */
export function createLimiter(limit: number): (work: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      await work();
    } finally {
      // The slot is handed to the first in the queue, before any later call can take it.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
