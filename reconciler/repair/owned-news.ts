/**
 * What a watch event about an account or a binding means for its session: nothing where the session is new or has ended; else an
 * object is missing, or exists again, and what was remembered of the session is dropped.
 */
import { accountName, bindingNames, type TkaSignin } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Damage } from '../reconcile/damage.ts';
import { accountKey, bindingKey, desired, grantsTheSame } from '../reconcile/desired.ts';
import type { OwnedEvent } from './owned-watch.ts';
import { isProvisioned } from '../reconcile/plan.ts';
import type { Tokens } from '../sessions/tokens.ts';

export interface OwnedNewsDeps {
  readonly cache: SigninCache;
  readonly damage: Damage;
  readonly tokens: Pick<Tokens, 'accountIs'>;
}

export function takeOwnedNews({ cache, damage, tokens }: OwnedNewsDeps, event: OwnedEvent): void {
  const signin = cache.get(event.signin);
  if (signin?.metadata.uid !== event.signinUid || signin.metadata.deletionTimestamp !== undefined) return;
  const { uid } = signin.metadata;
  const found = keyAndState(signin, event);
  if (found === undefined) return;
  if (found.key === accountKey) tokens.accountIs(uid, event.isGone ? undefined : event.uid);
  if (found.state === 'present') damage.seenWhole(uid, found.key);
  // A session that is being provisioned has its own pass.
  else if (isProvisioned(signin)) damage.found(signin.metadata, new Map([[found.key, found.state]]));
}

function keyAndState(
  signin: TkaSignin,
  { kind, name, namespace, isGone, grant }: OwnedEvent,
): { readonly key: string; readonly state: 'present' | 'absent' | 'drifted' } | undefined {
  if (kind === 'account') {
    return name === accountName(signin) ? { key: accountKey, state: isGone ? 'absent' : 'present' } : undefined;
  }
  const { spec } = signin;
  if (!bindingNames(accountName(signin)).includes(name)) return undefined;
  if (namespace === undefined ? spec.namespaces !== undefined : spec.namespaces?.includes(namespace) !== true) {
    return undefined;
  }
  const [binding] = desired(
    namespace === undefined ? signin : { ...signin, spec: { ...spec, namespaces: [namespace] } },
  ).bindings;
  if (binding === undefined) return undefined;
  const key = bindingKey(namespace);
  if (isGone || grant === undefined) return { key, state: 'absent' };
  return { key, state: grantsTheSame(grant, binding.object) ? 'present' : 'drifted' };
}
