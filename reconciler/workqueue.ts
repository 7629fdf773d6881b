/**
 * A work queue of keys: fair (first come, first served), deduplicating (a key waits once, however often it is added),
 * delayed, and with a backoff of its own for each key. What client-go's workqueue guarantees holds here too:
 * a key is never processed by two at once, and one added while it is processed is processed once more after.
 *
 * The queue starts at most `concurrency` calls of `process` at a time. A rejection is retried with backoff; what
 * `process` returns, in milliseconds, is when to look at the key again though nothing happened. stop() resolves when
 * the calls under way have ended.
 */
import type { Clock } from './clock.ts';

export interface WorkQueueOptions {
  readonly process: (key: string) => Promise<number | undefined>;
  readonly onRetry?: (key: string, error: unknown, attempt: number, delayMs: number) => void;
  readonly concurrency: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #awaited = new Map<string, (() => void)[]>();
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait or are processed; delayed ones do not count. */
  get depth(): number {
    return this.#waiting.size + this.#running.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** Adds the key, and resolves when it has been processed from now on, well or not, or the queue was stopped. */
  async processed(key: string): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#awaited.set(key, [...(this.#awaited.get(key) ?? []), resolve]);
      this.add(key);
    });
  }

  /** Adds the key later; of several delays the soonest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    const at = this.#options.clock.now() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.at <= at) return;
    before?.cancel();
    const cancel = this.#options.clock.schedule(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, delayMs);
    this.#delayed.set(key, { at, cancel });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const key of this.#delayed.keys()) this.#undelay(key);
    this.#waiting.clear();
    this.#again.clear();
    await Promise.all(this.#running.values());
    for (const resolve of [...this.#awaited.values()].flat()) resolve();
    this.#awaited.clear();
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      // This run is what a delay would have been for; one that is left would cut the backoff after this run short.
      this.#undelay(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    // Lets #pump put the promise into #running first.
    await Promise.resolve();
    const awaited = this.#awaited.get(key) ?? [];
    this.#awaited.delete(key);
    try {
      const lookAgainMs = await this.#options.process(key);
      this.#failures.delete(key);
      if (lookAgainMs !== undefined) this.addAfter(key, lookAgainMs);
    } catch (error) {
      this.#retry(key, error);
    } finally {
      for (const resolve of awaited) resolve();
      this.#running.delete(key);
      if (this.#again.delete(key) && !this.#stopped) this.#waiting.add(key);
      this.#pump();
    }
  }

  #retry(key: string, error: unknown): void {
    if (this.#stopped) return;
    const attempt = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, attempt);
    const { baseDelayMs = 50, maxDelayMs = 60_000, random, onRetry } = this.#options;
    // Half fixed, half random: keys that failed together do not come back together.
    const full = Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(attempt - 1, 30));
    const delayMs = full / 2 + (full / 2) * random();
    onRetry?.(key, error, attempt, delayMs);
    this.addAfter(key, delayMs);
  }
}
