/**
 * When sessions end: a heap of ends with one timer for the first. It is rebuilt on every list, so that a restart loses nothing.
 *
 * Ends are times of the wall clock, but timers count elapsed time: the two diverge where the clock is set or the machine slept. So
 * no timer is longer than `recheckMs`.
 *
 * Entries are hints. A session whose end moved leaves its old entry behind; onDue() checks the session itself.
 */
import type { Clock } from '../clock.ts';

interface Entry {
  readonly at: number;
  readonly name: string;
}

/** How late a session may end after the clock was set. */
const recheckMs = 2000;

export interface ExpiryOptions {
  readonly clock: Clock;
  /** Called once for each entry that is due. */
  readonly onDue: (name: string) => void;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  #heap: Entry[] = [];
  #cancel: (() => void) | undefined;
  #armedFor = Infinity;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** The first end, in milliseconds since the epoch. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(name: string, at: number): void {
    push(this.#heap, { at, name });
    this.#arm();
  }

  /** Forgets everything and starts from this list. */
  rebuild(ends: Iterable<{ readonly name: string; readonly at: number }>): void {
    this.#heap = [];
    for (const { name, at } of ends) push(this.#heap, { at, name });
    this.#arm();
  }

  stop(): void {
    this.#heap = [];
    this.#disarm();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined) {
      this.#disarm();
      return;
    }
    if (this.#cancel !== undefined && this.#armedFor === first.at) return;
    this.#disarm();
    this.#armedFor = first.at;
    const delayMs = Math.min(recheckMs, Math.max(0, first.at - this.#options.clock.now()));
    this.#cancel = this.#options.clock.schedule(() => this.#fire(), delayMs);
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = Infinity;
  }

  #fire(): void {
    this.#disarm();
    // Only due entries are removed, then the timer is set again.
    const now = this.#options.clock.now();
    while (this.#heap[0] !== undefined && this.#heap[0].at <= now) {
      const due = pop(this.#heap);
      if (due !== undefined) this.#options.onDue(due.name);
    }
    this.#arm();
  }
}

function push(heap: Entry[], entry: Entry): void {
  let index = heap.length;
  heap.push(entry);
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || parent.at <= entry.at) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let index = 0;
  for (;;) {
    let childIndex = 2 * index + 1;
    const right = heap[childIndex + 1];
    if (right !== undefined && right.at < (heap[childIndex]?.at ?? Infinity)) childIndex += 1;
    const child = heap[childIndex];
    if (child === undefined || child.at >= last.at) break;
    heap[index] = child;
    index = childIndex;
  }
  heap[index] = last;
  return first;
}
