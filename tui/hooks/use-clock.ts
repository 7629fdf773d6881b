/**
 * The one clock of a screen: whatever counts down on it moves at the same moment, when a second begins.
 */
import { useEffect, useState } from 'react';

export interface Clock {
  /** In ms, as Date.now() has it. */
  now(): number;
  /** Calls back at each multiple of `ms` until the function it returns is called. */
  every(ms: number, listener: () => void): () => void;
}

export function createClock(now: () => number): Clock {
  return {
    now,
    every(ms, listener) {
      let timer: NodeJS.Timeout | undefined;
      const schedule = (): void => {
        timer = setTimeout(
          () => {
            listener();
            schedule();
          },
          // Timers may fire a little early; a second too short to be told apart is no harm.
          ms - (now() % ms),
        );
      };
      schedule();
      return () => clearTimeout(timer);
    },
  };
}

/** The time, read every second. */
export function useClock(clock: Clock): number {
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => clock.every(1000, () => setNow(clock.now())), [clock]);
  return now;
}
