/**
 * Sweeps repeatedly: first after the first call of soon(), then every 30 s and after each call of soon(), at most once a second and
 * with pauses of ten times the duration of the last sweep: a sweep reads every object of tka's, and thousands of sessions that end
 * at once must not each cause one. The caller that starts it stops it.
 */
import type { Logger } from 'pino';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { type Clock, sleep, withSignal } from '../clock.ts';
import { createForeignReport } from './foreign-report.ts';
import type { Observed } from '../reconcile/plan.ts';
import type { ReconcilerObserver } from '../reconciler.ts';
import { sweep, type SweepDeps } from './sweep.ts';

export interface SweeperDeps extends Omit<SweepDeps, 'onOrphan' | 'onDamage'> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: ReconcilerObserver;
  readonly onDamage: (signin: TkaSignin, observed: Observed) => void;
}

export interface Sweeper {
  soon(): void;
  stop(): Promise<void>;
}

const sweepMs = 30_000;
const afterErrorMs = 5000;
const pauseMs = 1000;
/** Requested sweeps take at most a tenth of the time. */
const pauseFactor = 10;

export function startSweeper(deps: SweeperDeps): Sweeper {
  const { clock, log, observer, onDamage } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const alarm = createAlarm();
  const foreign = createForeignReport(deps);
  let stuck: readonly string[] = [];

  const once = async (): Promise<void> => {
    const looking = foreign.look(signal);
    // Where the sweep fails, its error is the one to report.
    looking.catch(() => undefined);
    const stuckNow = await sweep(
      {
        ...deps,
        onOrphan: (kind) => observer.orphanRemoved(kind),
        onDamage(signin, observed) {
          log.warn({ session: signin.metadata.name, damage: Object.fromEntries(observed) }, 'repairing a session');
          onDamage(signin, observed);
        },
      },
      signal,
    );
    for (const name of stuck) if (!stuckNow.includes(name)) observer.cleanupStuck(name, false);
    for (const name of stuckNow) observer.cleanupStuck(name, true);
    stuck = stuckNow;
    const found = await looking;
    if (found !== undefined) await foreign.tell(found);
  };

  const forever = async (): Promise<void> => {
    await alarm.wait(signal);
    while (!signal.aborted) {
      let delayMs = sweepMs;
      const startedAt = clock.now();
      try {
        await once();
      } catch (error) {
        if (signal.aborted) return;
        delayMs = afterErrorMs;
        log.warn({ err: error }, 'cannot look for objects that belong to no session, trying again');
      }
      const tookMs = Math.max(0, clock.now() - startedAt);
      const restMs = Math.min(delayMs, Math.max(pauseMs, pauseFactor * tookMs));
      await sleep(clock, restMs, signal);
      const nap = new AbortController();
      const napping = AbortSignal.any([signal, nap.signal]);
      await Promise.race([sleep(clock, delayMs - restMs, napping), alarm.wait(napping)]);
      nap.abort();
    }
  };

  // It rejects only when it is stopped, in the middle of a wait.
  const ended = forever().catch(() => undefined);
  return {
    soon: () => alarm.ring(),
    async stop() {
      stopping.abort(new Error('the sweeper was stopped'));
      await ended;
      for (const name of stuck) observer.cleanupStuck(name, false);
      stuck = [];
      foreign.stop();
    },
  };
}

/** An event that may occur before anything waits for it. */
function createAlarm(): { ring(): void; wait(signal: AbortSignal): Promise<void> } {
  let ringing = Promise.withResolvers<void>();
  return {
    ring: () => ringing.resolve(),
    async wait(signal) {
      await withSignal(ringing.promise, signal);
      ringing = Promise.withResolvers<void>();
    },
  };
}
