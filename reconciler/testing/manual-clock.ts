/**
 * A clock that stands still until a test moves it. Timers fire in the order of their times, each at its own time.
 */
import { type Clock, maxTimerMs } from '../clock.ts';

export interface ManualClock extends Clock {
  /** Moves on, firing what comes due; lets promises settle between timers. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock: timers run by the time that passes. */
  jump(ms: number): void;
  readonly timers: number;
}

export function manualClock(startMs = Date.parse('2026-01-01T00:00:00Z')): ManualClock {
  let now = startMs;
  let offset = 0;
  let sequence = 0;
  const timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  const next = (until: number): number | undefined => {
    const due = [...timers].filter(([, { at }]) => at <= until).sort(([a, x], [b, y]) => x.at - y.at || a - b);
    return due[0]?.[0];
  };
  return {
    now: () => now + offset,
    schedule(callback, ms) {
      const id = sequence;
      sequence += 1;
      timers.set(id, { at: now + Math.min(Math.max(0, ms), maxTimerMs), callback });
      return () => timers.delete(id);
    },
    async advance(ms) {
      const until = now + ms;
      await settled();
      for (let id = next(until); id !== undefined; id = next(until)) {
        const timer = timers.get(id);
        timers.delete(id);
        now = Math.max(now, timer?.at ?? now);
        timer?.callback();
        await settled();
      }
      now = until;
    },
    jump(ms) {
      offset += ms;
    },
    get timers() {
      return timers.size;
    },
  };
}

/** Lets everything that waits for nothing but promises run. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
