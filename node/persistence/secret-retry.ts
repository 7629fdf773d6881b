/**
 * The first access to a Secret at a start: retried while the API server is unreachable or another writer comes first. What is waited
 * for is reported through onWait(), and logged once for each new reason.
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
  /** Called with what the start waits for. */
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
      // Another writer came first: read what it wrote.
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
