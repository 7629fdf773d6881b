/**
 * Why sessions end. The process that is asked to end one tells the process that removes it: itself through memory, another one through
 * an annotation, which costs a write.
 */
import type { Logger } from 'pino';
import { endOf } from '../../crd/parse.ts';
import { annotations, type TkaSignin } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Clock } from '../clock.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';

export interface EndReasons {
  announce(signin: TkaSignin, reason: string, signal: AbortSignal): Promise<void>;
  /** The session was not ended after all. */
  forget(uid: string): void;
  /** The announced reason, from this or another process. */
  of(signin: TkaSignin): string | undefined;
  /** The announced reason, or one inferred from the end's time. */
  reasonOf(signin: TkaSignin): string;
}

export interface EndReasonsDeps {
  readonly cache: SigninCache;
  readonly signins: Signins;
  /** Whether this process removes what it ends. */
  readonly isLeading: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createEndReasons({ cache, signins, isLeading, clock, log }: EndReasonsDeps): EndReasons {
  const announced = new Map<string, string>();
  const of = ({ metadata: { uid, annotations: written } }: TkaSignin): string | undefined =>
    announced.get(uid) ?? written?.[annotations.endReason];
  return {
    async announce(signin, reason, signal) {
      announced.set(signin.metadata.uid, reason);
      if (isLeading() || signin.metadata.deletionTimestamp !== undefined) return;
      try {
        cache.written(await signins.annotate(signin, annotations.endReason, reason, signal));
      } catch (error) {
        // Without its reason the end counts as a revocation.
        log.debug({ err: error, session: signin.metadata.name }, 'cannot record why a session ends');
      }
    },
    forget: (uid) => void announced.delete(uid),
    of,
    reasonOf: (signin) => of(signin) ?? (endOf(signin) <= clock.now() ? 'expired' : 'revoked'),
  };
}
