/**
 * The objects that a session needs: one ServiceAccount, and a binding cluster-wide or in each namespace of its scope.
 * Computed from the TkaSignin alone, names included, so that removing them needs no list.
 */
import type { RbacV1Subject, V1ClusterRoleBinding, V1RoleBinding, V1ServiceAccount } from '@kubernetes/client-node';
import { accountName, annotations, labels, managedByValue, type TkaSignin, userLabel } from '../../crd/tkasignin.ts';

/** A binding, and where it goes: `namespace` is undefined for a ClusterRoleBinding. */
export interface DesiredBinding {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly object: V1ClusterRoleBinding & V1RoleBinding;
}

export interface Desired {
  readonly account: V1ServiceAccount & { readonly metadata: { readonly name: string; readonly namespace: string } };
  readonly bindings: readonly DesiredBinding[];
}

export function desired(signin: TkaSignin): Desired {
  const name = accountName(signin);
  const { namespace } = signin.metadata;
  const metadata = {
    name,
    labels: {
      [labels.managedBy]: managedByValue,
      [labels.install]: namespace,
      [labels.signin]: signin.metadata.name,
      [labels.signinUid]: signin.metadata.uid,
      [labels.user]: userLabel(signin.spec),
    },
    annotations: {
      [annotations.username]: signin.spec.username,
      [annotations.subject]: signin.spec.subject,
    },
  };
  const rules = {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: signin.spec.role },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  };
  const scope: readonly (string | undefined)[] = signin.spec.namespaces ?? [undefined];
  return {
    account: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata, namespace },
      automountServiceAccountToken: false,
    },
    bindings: scope.map((where) => ({
      namespace: where,
      name,
      object: {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: where === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
        metadata: where === undefined ? metadata : { ...metadata, namespace: where },
        ...rules,
      },
    })),
  };
}

/** Whether a binding grants the desired role to the desired account and to no one else. */
export function grantsTheSame(
  found: Pick<V1RoleBinding, 'roleRef' | 'subjects'>,
  wanted: Pick<V1RoleBinding, 'roleRef' | 'subjects'>,
): boolean {
  const [subject, ...others] = found.subjects ?? [];
  const [expected] = wanted.subjects ?? [];
  return (
    others.length === 0 &&
    subject?.kind === expected?.kind &&
    subject?.name === expected?.name &&
    subject?.namespace === expected?.namespace &&
    found.roleRef.kind === wanted.roleRef.kind &&
    found.roleRef.name === wanted.roleRef.name
  );
}

/** Whether a binding names the account that it is for, among others or not. */
export function namesAccount(found: Pick<V1RoleBinding, 'subjects'>, { object }: DesiredBinding): boolean {
  const [account] = object.subjects ?? [];
  return (found.subjects ?? []).some((subject) => isAccount(subject, account?.name, account?.namespace));
}

/** An account can be named in two ways: as a ServiceAccount, and by its user name. */
function isAccount({ kind, name, namespace }: RbacV1Subject, account = '', where = ''): boolean {
  if (kind === 'User') return name === `system:serviceaccount:${where}:${account}`;
  return kind === 'ServiceAccount' && name === account && namespace === where;
}

/** Keys of a session's objects in Observed. */
export const accountKey = 'account';
export function bindingKey(namespace: string | undefined): string {
  return namespace === undefined ? 'cluster' : `namespace/${namespace}`;
}
