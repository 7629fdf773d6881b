/**
 * Who holds a Secret: one server at a time, named in an annotation and renewed in another. A server that wants it too waits
 * until the other lets go, or has not renewed for a while by its own clock, so that clocks need not agree. One of the same
 * name takes over at once: it is the next run of a pod, of which there is never a second.
 */
import type { Logger } from 'pino';
import { type Clock, sleep } from '../reconciler/clock.ts';
import { ApiUnavailableError, ConflictError, ForbiddenError } from '../reconciler/errors.ts';
import { type Secret, type SecretContent, SecretError, sealOf, sealStateOf, unsealing } from './secret.ts';
import { stateNameOf } from './state-keys.ts';

const holder = 'tka.specht-labs.de/holder';
const renewed = 'tka.specht-labs.de/renewed';
/** Three renewals that did not come. */
const silentMs = 45_000;
const lookMs = 2000;
const retryMs = { first: 500, longest: 15_000 };

/** Change of annotations that lets go. */
export const releasing = { [holder]: null, [renewed]: null };

export function holderOf({ annotations }: SecretContent): string | undefined {
  return annotations[holder];
}

export function holderAnnotations(id: string, clock: Clock): Readonly<Record<string, string>> {
  return { [holder]: id, [renewed]: new Date(clock.now()).toISOString() };
}

export interface Claim {
  readonly secret: Secret;
  /** `SERVER/RUN`. */
  readonly id: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly onWait: (words: string) => void;
}

/** Resolves with the Secret once it is this server's, and as tka left it. Rejects with a SecretError else. */
export async function claimSecret(claim: Claim, signal: AbortSignal): Promise<SecretContent> {
  const { secret, id, log, clock, onWait } = claim;
  const isSilent = silenceOf(clock);
  let told = '';
  const waitFor = async (words: string, ms: number): Promise<void> => {
    onWait(words);
    if (words !== told) log.warn({ object: secret.name }, words);
    told = words;
    await sleep(clock, ms, signal);
  };
  for (let pauseMs = retryMs.first; ;) {
    try {
      const found = await secret.read(signal);
      const other = holderOf(found);
      if (other !== undefined && serverOf(other) !== serverOf(id) && !isSilent(found)) {
        await waitFor(
          `${secret.name} is in use by ${other}: this server waits until that one lets go; two must not share one, give each its own tailscale.stateSecret`,
          lookMs,
        );
        continue;
      }
      check(secret, found);
      return await secret.patch(
        {
          resourceVersion: found.resourceVersion,
          annotations: { ...holderAnnotations(id, clock), ...sealOf(found.values) },
        },
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ConflictError) continue;
      if (error instanceof ForbiddenError) {
        throw new SecretError(
          `${error.message}; tka's rights are in manifests/cluster/rbac.yaml, for the Secrets that are made there`,
          { cause: error },
        );
      }
      if (!(error instanceof ApiUnavailableError)) throw error;
      await waitFor(`${secret.name} cannot be read: ${error.message}`, pauseMs);
      pauseMs = Math.min(retryMs.longest, pauseMs * 2);
    }
  }
}

/** True of a hold that was not renewed for a while since it was first asked about. */
function silenceOf(clock: Clock): (found: SecretContent) => boolean {
  let seen = { hold: '', since: 0 };
  return ({ annotations }) => {
    const hold = `${annotations[holder]} ${annotations[renewed]}`;
    if (hold !== seen.hold) seen = { hold, since: clock.now() };
    return clock.now() - seen.since >= silentMs;
  };
}

function serverOf(id: string): string {
  return id.slice(0, id.lastIndexOf('/'));
}

function check(secret: Secret, found: SecretContent): void {
  const state = sealStateOf(found);
  if (state === 'emptied') {
    throw new SecretError(
      `${secret.name} held a tailnet node and is empty: restore it from a backup, or join as a new machine after \`${unsealing(secret.name)}\``,
    );
  }
  if (state === 'changed') {
    throw new SecretError(
      `${secret.name} is not as tka left it: restore it from a backup, or take it as it is after \`${unsealing(secret.name)}\``,
    );
  }
  const foreign = [...found.values.keys()].find((key) => stateNameOf(key) === undefined);
  if (foreign !== undefined)
    throw new SecretError(`${secret.name} has a key ${foreign} that is no tailnet state: remove it`);
}
