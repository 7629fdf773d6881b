/**
 * The first step with a Secret, at a start: tried until it is done, while the API server is away or somebody else was quicker. Whoever
 * looks at the start is told what is waited for; the log once for each new reason.
 */
import type { Logger } from 'pino';
import { type Clock, sleep } from '../../reconciler/clock.ts';
import { ApiUnavailableError, ConflictError, ForbiddenError } from '../../reconciler/errors.ts';
import { type Secret, SecretError } from './secret.ts';

export const retryMs = { first: 500, longest: 15_000 };

export interface SecretWait {
  readonly secret: Secret;
  readonly log: Logger;
  readonly clock: Clock;
  /** Told what a start waits for, in words. */
  readonly onWait: (words: string) => void;
}

/** What a step has to wait for before it is tried again. */
export interface NotYet {
  readonly words: string;
  readonly forMs: number;
}

/** Rejects with a SecretError for a missing right, with the signal's reason, and with whatever else `step` rejects with. */
export async function untilDone<T extends object>(
  { secret, log, clock, onWait }: SecretWait,
  step: () => Promise<T | { readonly notYet: NotYet }>,
  signal: AbortSignal,
): Promise<T> {
  let told = '';
  const waitFor = async ({ words, forMs }: NotYet): Promise<void> => {
    onWait(words);
    if (words !== told) log.warn({ object: secret.name }, words);
    told = words;
    await sleep(clock, forMs, signal);
  };
  for (let pauseMs = retryMs.first; ;) {
    try {
      const done = await step();
      if (!('notYet' in done)) return done;
      await waitFor(done.notYet);
    } catch (error) {
      signal.throwIfAborted();
      // Somebody else was quicker: what that one wrote is looked at.
      if (error instanceof ConflictError) continue;
      if (error instanceof ForbiddenError) {
        throw new SecretError(
          `${error.message}; tka's rights are in manifests/cluster/rbac.yaml, for the Secrets that are made there`,
          { cause: error },
        );
      }
      if (!(error instanceof ApiUnavailableError)) throw error;
      await waitFor({ words: `${secret.name} cannot be read: ${error.message}`, forMs: pauseMs });
      pauseMs = Math.min(retryMs.longest, pauseMs * 2);
    }
  }
}
