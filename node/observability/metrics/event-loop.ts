/** The longest delay of the event loop. The caller that starts it stops it. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export const lagResolutionMs = 100;

export interface EventLoopWatch {
  /** The longest delay since the last call. */
  takeLagSeconds(): number;
  stop(): void;
}

export function watchEventLoop(): EventLoopWatch {
  const delay = monitorEventLoopDelay({ resolution: lagResolutionMs });
  delay.enable();
  return {
    takeLagSeconds() {
      // The histogram holds the time between two ticks, which on an idle loop is the resolution itself.
      const lagMs = delay.max / 1e6 - lagResolutionMs;
      delay.reset();
      return Math.max(0, lagMs / 1000);
    },
    stop: () => void delay.disable(),
  };
}
