/**
 * The decision: what has to be done for a session, from the TkaSignin, its observed objects and the time. Pure.
 *
 * Actions are in groups. Those of one group may run at once; a group starts when the one before it is done. At the end of a session
 * access is removed first (bindings and account), the TkaSignin last, so that what is left is always named by an existing TkaSignin.
 */
import { findCondition } from '../../crd/conditions.ts';
import { endOf } from '../../crd/parse.ts';
import { finalizer, type TkaSignin } from '../../crd/tkasignin.ts';
import { accountKey, bindingKey, desired, type Desired, type DesiredBinding } from './desired.ts';

/**
 * What is known of each object (accountKey, bindingKey()). An object that is not in the map was not read: it counts as present
 * where the status says so, and as absent otherwise; creating it again is harmless.
 */
export type Observed = ReadonlyMap<string, 'present' | 'absent' | 'drifted'>;

export type Action =
  | { readonly do: 'add-finalizer' }
  | { readonly do: 'create-account'; readonly account: Desired['account'] }
  | { readonly do: 'create-binding'; readonly binding: DesiredBinding }
  | { readonly do: 'delete-signin' }
  | { readonly do: 'delete-binding'; readonly binding: DesiredBinding }
  | { readonly do: 'delete-account'; readonly account: Desired['account'] }
  | { readonly do: 'remove-finalizer' };

export type Phase = 'live' | 'ending' | 'held-by-others';

export interface Plan {
  readonly phase: Phase;
  readonly groups: readonly (readonly Action[])[];
}

export function plan(signin: TkaSignin, observed: Observed, now: number): Plan {
  const held = signin.metadata.finalizers?.includes(finalizer) ?? false;
  const wanted = desired(signin);
  if (signin.metadata.deletionTimestamp !== undefined) {
    return held ? { phase: 'ending', groups: removal(wanted) } : { phase: 'held-by-others', groups: [] };
  }
  if (endOf(signin) <= now) return { phase: 'ending', groups: [[{ do: 'delete-signin' }], ...removal(wanted)] };
  return {
    phase: 'live',
    groups: [held ? [] : [{ do: 'add-finalizer' } as const], provision(wanted, observed, isProvisioned(signin))].filter(
      (group) => group.length > 0,
    ),
  };
}

/** Whether the status says that every object of the session was made; they depend on nothing that can change. */
export function isProvisioned(signin: TkaSignin): boolean {
  return findCondition(signin.status?.conditions, 'Ready')?.status === 'True';
}

/** The last pass saw the current generation. */
export function isObserved({ metadata, status }: TkaSignin): boolean {
  return status?.observedGeneration === metadata.generation;
}

/** Nothing that a pass acts on has changed. */
export function isStatusOnly(before: TkaSignin, after: TkaSignin): boolean {
  return (
    before.metadata.generation === after.metadata.generation &&
    before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
    before.metadata.finalizers?.join() === after.metadata.finalizers?.join()
  );
}

function provision(wanted: Desired, observed: Observed, provisioned: boolean): readonly Action[] {
  const state = (key: string): 'present' | 'absent' | 'drifted' =>
    observed.get(key) ?? (provisioned ? 'present' : 'absent');
  return [
    ...(state(accountKey) === 'absent' ? [{ do: 'create-account', account: wanted.account } as const] : []),
    ...wanted.bindings
      .filter((binding) => state(bindingKey(binding.namespace)) !== 'present')
      .map((binding) => ({ do: 'create-binding', binding }) as const),
  ];
}

function removal(wanted: Desired): readonly (readonly Action[])[] {
  // In one group, because either alone ends the access: a user with the role may be able to keep one of its bindings.
  return [
    [
      ...wanted.bindings.map((binding) => ({ do: 'delete-binding', binding }) as const),
      { do: 'delete-account', account: wanted.account },
    ],
    [{ do: 'remove-finalizer' }],
  ];
}
