/**
 * A work queue of keys: fair (first come, first served), deduplicating (a key waits once, however often it is added), delayed, with
 * a backoff for each key. Urgent keys, those that a caller waits for, are processed before all others. As in client-go's workqueue,
 * a key is never processed twice at once, and a key added while it is processed is processed once more afterwards.
 *
 * The queue starts at most `concurrency` calls of `process` at a time, at most `backgroundConcurrency` of them for keys that are
 * not urgent: thousands of those must not fill the API server's queues before a login. After `burst` starts in one turn of the event
 * loop the next ones wait for the next turn, because calls without I/O would otherwise all run in a row. A rejection is retried with
 * backoff; a number that `process` resolves with is the delay in milliseconds until the key is processed again. stop() resolves when
 * the calls under way have ended.
 */
import type { Clock } from '../clock.ts';

export interface WorkQueueOptions {
  readonly process: (key: string) => Promise<number | undefined>;
  readonly onRetry?: (key: string, error: unknown, attempt: number, delayMs: number) => void;
  readonly concurrency: number;
  /** Asked before each start. Default: `concurrency`. */
  readonly backgroundConcurrency?: () => number;
  /** Default: 50. */
  readonly burst?: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
}

export type Priority = 'urgent' | 'background';

interface Delayed {
  readonly at: number;
  readonly cancel: () => void;
  priority: Priority;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = { urgent: new Set<string>(), background: new Set<string>() };
  readonly #running = new Map<string, Promise<void>>();
  /** How many of the running were started as background. */
  #background = 0;
  #startedThisTurn = 0;
  #nextTurn: NodeJS.Immediate | undefined;
  readonly #again = new Map<string, Priority>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #awaited = new Map<string, (() => void)[]>();
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait or are processed; delayed ones do not count. */
  get depth(): number {
    return this.#waiting.urgent.size + this.#waiting.background.size + this.#running.size;
  }

  /** A key that waits already becomes urgent if it is added as such, never the reverse. */
  add(key: string, priority: Priority = 'background'): void {
    if (this.#stopped) return;
    const { urgent, background } = this.#waiting;
    if (this.#running.has(key)) {
      if (this.#again.get(key) !== 'urgent') this.#again.set(key, priority);
    } else if (priority === 'urgent') {
      background.delete(key);
      urgent.add(key);
    } else if (!urgent.has(key)) background.add(key);
    this.#pump();
  }

  /** Adds the key as urgent, and resolves when a run that starts from now on has ended, successful or not, or the queue was stopped. */
  async processed(key: string): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      this.#awaited.set(key, [...(this.#awaited.get(key) ?? []), resolve]);
      this.add(key, 'urgent');
    });
  }

  /** Adds the key later; of several delays the soonest counts. */
  addAfter(key: string, delayMs: number, priority: Priority = 'background'): void {
    if (this.#stopped) return;
    const at = this.#options.clock.now() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.at <= at) {
      if (priority === 'urgent') before.priority = priority;
      return;
    }
    before?.cancel();
    const cancel = this.#options.clock.schedule(() => {
      this.#delayed.delete(key);
      this.add(key, delayed.priority);
    }, delayMs);
    const delayed: Delayed = { at, cancel, priority: before?.priority === 'urgent' ? 'urgent' : priority };
    this.#delayed.set(key, delayed);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearImmediate(this.#nextTurn);
    for (const key of this.#delayed.keys()) this.#undelay(key);
    for (const waiting of Object.values(this.#waiting)) waiting.clear();
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
    const { burst = 50 } = this.#options;
    for (;;) {
      const next = this.#next();
      if (next === undefined) return;
      // Reset in the next turn, so that work without I/O cannot block the event loop.
      this.#nextTurn ??= setImmediate(() => {
        this.#nextTurn = undefined;
        this.#startedThisTurn = 0;
        this.#pump();
      });
      if (this.#startedThisTurn >= burst) return;
      this.#startedThisTurn += 1;
      const { key, priority } = next;
      this.#waiting[priority].delete(key);
      // This run replaces a pending delay; one left over would cut the next backoff short.
      this.#undelay(key);
      if (priority === 'background') this.#background += 1;
      this.#running.set(key, this.#run(key, priority));
    }
  }

  #next(): { readonly key: string; readonly priority: Priority } | undefined {
    const { concurrency, backgroundConcurrency = () => concurrency } = this.#options;
    if (this.#running.size >= concurrency) return undefined;
    for (const key of this.#waiting.urgent) return { key, priority: 'urgent' };
    if (this.#background >= backgroundConcurrency()) return undefined;
    for (const key of this.#waiting.background) return { key, priority: 'background' };
    return undefined;
  }

  async #run(key: string, priority: Priority): Promise<void> {
    // Lets #pump put the promise into #running first.
    await Promise.resolve();
    const awaited = this.#awaited.get(key) ?? [];
    this.#awaited.delete(key);
    try {
      const lookAgainMs = await this.#options.process(key);
      this.#failures.delete(key);
      if (lookAgainMs !== undefined) this.addAfter(key, lookAgainMs);
    } catch (error) {
      this.#retry(key, priority, error);
    } finally {
      for (const resolve of awaited) resolve();
      this.#running.delete(key);
      if (priority === 'background') this.#background -= 1;
      const again = this.#again.get(key);
      this.#again.delete(key);
      if (again !== undefined) this.add(key, again);
      else this.#pump();
    }
  }

  #retry(key: string, priority: Priority, error: unknown): void {
    if (this.#stopped) return;
    const attempt = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, attempt);
    const { baseDelayMs = 50, maxDelayMs = 60_000, random, onRetry } = this.#options;
    // Half fixed, half random, so that keys that failed together are not retried together.
    const full = Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(attempt - 1, 30));
    const delayMs = full / 2 + (full / 2) * random();
    onRetry?.(key, error, attempt, delayMs);
    this.addAfter(key, delayMs, priority);
  }
}
