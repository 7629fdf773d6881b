/**
 * Exclusive use of a Secret by one server, recorded in an annotation and renewed in another. A server that wants it too waits until
 * it is released or has not been renewed for a while by its own clock, so that clocks need not agree. A server of the same name takes
 * over at once: it is the next run of the same pod, of which there is never a second.
 */
import type { Clock } from '../../reconciler/clock.ts';
import { type Secret, type SecretContent, SecretError, sealOf, sealStateOf, unsealing } from './secret.ts';
import { type NotYet, type SecretWait, untilDone } from './secret-retry.ts';
import { stateNameOf } from './state-keys.ts';

const holder = 'tka.specht-labs.de/holder';
const renewed = 'tka.specht-labs.de/renewed';
/** Three missed renewals. */
const silentMs = 45_000;
const lookMs = 2000;

/** Annotations that release the Secret. */
export const releasing = { [holder]: null, [renewed]: null };

export function holderOf({ annotations }: SecretContent): string | undefined {
  return annotations[holder];
}

export function holderAnnotations(id: string, clock: Clock): Readonly<Record<string, string>> {
  return { [holder]: id, [renewed]: new Date(clock.now()).toISOString() };
}

export interface Claim extends SecretWait {
  /** `SERVER/RUN`. */
  readonly id: string;
}

/** Resolves with the Secret once it is this server's, and as tka left it. Rejects with a SecretError else. */
export async function claimSecret(claim: Claim, signal: AbortSignal): Promise<SecretContent> {
  const { secret, id, clock } = claim;
  const isSilent = silenceOf(clock);
  const step = async (): Promise<SecretContent | { readonly notYet: NotYet }> => {
    const found = await secret.read(signal);
    const other = holderOf(found);
    if (other !== undefined && serverOf(other) !== serverOf(id) && !isSilent(found)) {
      const words = `${secret.name} is in use by ${other}: waiting until it is released; two servers must not share one, give each its own tailscale.stateSecret`;
      return { notYet: { words, forMs: lookMs } };
    }
    check(secret, found);
    const annotations = { ...holderAnnotations(id, clock), ...sealOf(found.values) };
    return await secret.patch({ resourceVersion: found.resourceVersion, annotations }, signal);
  };
  return await untilDone(claim, step, signal);
}

/** Whether a claim was not renewed for a while since it was first seen. */
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
