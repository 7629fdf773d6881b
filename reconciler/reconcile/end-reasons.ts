/**
 * Why sessions end. Whoever is asked to end one tells whoever removes it: in this process by its memory, in another by an
 * annotation, which costs a write.
 */
import type { Logger } from 'pino';
import { endOf } from '../../crd/parse.ts';
import { annotations, type TkaSignin } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Clock } from '../clock.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';

export interface EndReasons {
  announce(signin: TkaSignin, reason: string, signal: AbortSignal): Promise<void>;
  /** It was not ended after all. */
  forget(uid: string): void;
  /** What was said, here or elsewhere. */
  of(signin: TkaSignin): string | undefined;
  /** The same, or what can be seen. */
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
  const said = new Map<string, string>();
  const of = ({ metadata: { uid, annotations: written } }: TkaSignin): string | undefined =>
    said.get(uid) ?? written?.[annotations.endReason];
  return {
    async announce(signin, reason, signal) {
      said.set(signin.metadata.uid, reason);
      if (isLeading() || signin.metadata.deletionTimestamp !== undefined) return;
      try {
        cache.written(await signins.annotate(signin, annotations.endReason, reason, signal));
      } catch (error) {
        // The end is what matters; without its reason it counts as a revocation.
        log.debug({ err: error, session: signin.metadata.name }, 'cannot record why a session ends');
      }
    },
    forget: (uid) => void said.delete(uid),
    of,
    reasonOf: (signin) => of(signin) ?? (endOf(signin) <= clock.now() ? 'expired' : 'revoked'),
  };
}
