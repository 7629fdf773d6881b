/**
 * Ends a session on request: resolves when its account is gone, and its bindings as far as they can be removed.
 */
import { finalizer, type TkaSignin } from '../../crd/tkasignin.ts';
import type { Apply } from '../reconcile/apply.ts';
import type { SigninCache } from '../informer/cache.ts';
import { desired } from '../reconcile/desired.ts';
import type { EndReasons } from '../reconcile/end-reasons.ts';
import { NotFoundError } from '../errors.ts';
import type { Reconciler } from '../reconciler.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';
import type { Priority } from '../queue/workqueue.ts';

export interface EndDeps {
  readonly cache: SigninCache;
  readonly signins: Signins;
  readonly apply: Apply;
  readonly endReasons: EndReasons;
  readonly onEnding: (signin: TkaSignin, reason: string) => void;
  readonly enqueue: (name: string, priority: Priority) => void;
  readonly sweepSoon: () => void;
  readonly stopping: AbortSignal;
}

export function createEnd(deps: EndDeps): Reconciler['end'] {
  const { cache, signins, endReasons } = deps;
  return async (name, reason, caller) => {
    const signin = cache.get(name) ?? (await readOrUndefined(deps, name, caller));
    if (signin === undefined) return;
    const { uid } = signin.metadata;
    deps.onEnding(signin, reason);
    try {
      await endReasons.announce(signin, reason, caller);
      const left = await signins.delete(signin, { unchanged: false }, caller);
      if (left !== undefined) cache.written(left);
      // A user waits for a logout; a revocation may be one of thousands.
      deps.enqueue(name, reason === 'logout' ? 'urgent' : 'background');
    } catch (error) {
      endReasons.forget(uid);
      if (!(error instanceof NotFoundError)) throw error;
      // The finalizer was removed by someone else: the access is removed here.
      await removeAccess(deps, signin, caller);
      return;
    }
    const asked = AbortSignal.any([caller, deps.stopping]);
    await cache.until(name, (now) => (isHeldByUs(now, uid) ? undefined : true), asked);
  };
}

async function removeAccess(
  { apply, cache, sweepSoon }: EndDeps,
  signin: TkaSignin,
  caller: AbortSignal,
): Promise<void> {
  const { account, bindings } = desired(signin);
  const [removed] = await Promise.allSettled([
    apply.deleteAccount(account, caller),
    ...bindings.map(async (binding) => await apply.deleteBinding(binding, caller)),
  ]);
  // Without the account a binding grants nothing; the sweep removes what could not be removed here.
  if (removed.status === 'rejected') throw removed.reason;
  cache.released(signin);
  sweepSoon();
}

async function readOrUndefined(
  { cache, signins }: EndDeps,
  name: string,
  caller: AbortSignal,
): Promise<TkaSignin | undefined> {
  try {
    const found = await signins.read(name, caller);
    cache.written(found);
    return found;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function isHeldByUs(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.finalizers?.includes(finalizer) === true;
}
