/**
 * Repeats the checks of preflight.ts while the server runs, every 30 s, and every 5 s while there is a problem. A problem counts
 * when two consecutive checks have found it, because an API server that has just restarted briefly refuses what is allowed. A check
 * that the API server does not answer changes nothing.
 */
import { type Clock, sleep } from '../../reconciler/clock.ts';

export interface InstallationWatch {
  /** Each problem in one sentence, with its remedy. */
  problems(): readonly string[];
  stop(): Promise<void>;
}

export interface InstallationWatchDeps {
  /** Rejects where the check cannot be made. */
  readonly check: (signal: AbortSignal) => Promise<readonly string[]>;
  readonly log: Record<'info' | 'error' | 'debug', (fields: object, message: string) => void>;
  readonly clock: Clock;
}

const everyMs = 30_000;
const againMs = 5000;
const deadlineMs = 10_000;

export function watchInstallation({ check, log, clock }: InstallationWatchDeps): InstallationWatch {
  const stopping = new AbortController();
  let suspected: ReadonlySet<string> = new Set();
  let known: readonly string[] = [];

  const look = async (): Promise<void> => {
    const found = await check(AbortSignal.any([stopping.signal, AbortSignal.timeout(deadlineMs)]));
    const before = new Set(known);
    known = found.filter((problem) => suspected.has(problem) || before.has(problem));
    suspected = new Set(found);
    if (known.some((problem) => !before.has(problem))) {
      log.error({ problems: known }, 'the installation is damaged: new logins are refused');
    }
    if (before.size > 0 && known.length === 0) log.info({}, 'the installation is complete again');
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await sleep(clock, suspected.size > 0 ? againMs : everyMs, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      await look().catch((error: unknown) => {
        log.debug({ reason: error instanceof Error ? error.message : String(error) }, 'cannot check the installation');
      });
    }
  };
  const running = run();
  return {
    problems: () => known,
    async stop() {
      stopping.abort(new Error('the server is stopping'));
      await running;
    },
  };
}
