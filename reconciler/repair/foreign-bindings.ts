/**
 * Bindings that grant something to accounts of sessions and that tka did not make. A user who may write bindings can make one within
 * their own rights; the holder of a token of tka's own account can make one with every role that tka may bind. They are reported
 * and never removed, because tka cannot know their purpose. They grant nothing once their session has ended.
 */
import type { RbacV1Subject, V1ListMeta, V1RoleBinding } from '@kubernetes/client-node';
import { accountName, bindingNames, labels, type TkaSignin } from '../../crd/tkasignin.ts';
import { type Clients, during } from '../cluster.ts';
import { desired, grantsTheSame } from '../reconcile/desired.ts';

export interface ForeignBinding {
  readonly kind: 'ClusterRoleBinding' | 'RoleBinding';
  readonly namespace: string | undefined;
  readonly name: string;
  readonly role: string;
  /** Names of the accounts; `*` for all of them. */
  readonly accounts: readonly string[];
}

interface Page {
  readonly limit: number;
  readonly _continue?: string;
}

type Binding = Pick<V1RoleBinding, 'metadata' | 'roleRef' | 'subjects'>;

export async function listForeignBindings(
  cluster: Clients,
  namespace: string,
  sessions: () => readonly TkaSignin[],
  signal: AbortSignal,
): Promise<readonly ForeignBinding[]> {
  const suspects: Binding[] = [];
  const pages = async (list: (from: Page) => Promise<{ items: Binding[]; metadata?: V1ListMeta }>): Promise<void> => {
    let from: string | undefined;
    do {
      const { items, metadata } = await list({ limit: 500, ...(from === undefined ? {} : { _continue: from }) });
      suspects.push(...items.filter((binding) => accountsIn(binding, namespace).length > 0));
      from = metadata?._continue;
    } while (from !== undefined && from !== '');
  };
  await Promise.all([
    pages(async (page) => await cluster.rbac.listClusterRoleBinding(page, during(signal))),
    pages(async (page) => await cluster.rbac.listRoleBindingForAllNamespaces(page, during(signal))),
  ]);
  return foreignBindings(suspects, namespace, sessions());
}

export function foreignBindings(
  bindings: readonly Binding[],
  namespace: string,
  sessions: readonly TkaSignin[],
): readonly ForeignBinding[] {
  const byAccount = new Map(sessions.map((signin) => [accountName(signin), signin]));
  return bindings.flatMap((binding): readonly ForeignBinding[] => {
    const accounts = accountsIn(binding, namespace);
    const { name = '', namespace: place } = binding.metadata ?? {};
    if (accounts.length === 0 || isMade(binding, byAccount)) return [];
    const kind = place === undefined ? 'ClusterRoleBinding' : 'RoleBinding';
    return [{ kind, namespace: place, name, role: `${binding.roleRef.kind} ${binding.roleRef.name}`, accounts }];
  });
}

/** Whether tka made it as it is, for a live session or for an ended one whose objects the sweep removes. */
function isMade(binding: Binding, byAccount: ReadonlyMap<string, TkaSignin>): boolean {
  const { name = '', namespace, labels: own = {} } = binding.metadata ?? {};
  const [subject, ...others] = binding.subjects ?? [];
  const account = subject?.name ?? '';
  if (others.length > 0 || !bindingNames(account).includes(name)) return false;
  const signin = byAccount.get(account);
  if (signin === undefined) {
    const [session, uid] = [own[labels.signin], own[labels.signinUid]];
    return session !== undefined && uid !== undefined && accountName({ metadata: { name: session, uid } }) === account;
  }
  return desired(signin).bindings.some(
    (wanted) => wanted.namespace === namespace && grantsTheSame(binding, wanted.object),
  );
}

function accountsIn({ subjects = [] }: Binding, namespace: string): readonly string[] {
  return subjects.flatMap((subject) => accountIn(subject, namespace) ?? []);
}

/** An account can be named as such, by its user name, and with all others of its namespace. */
function accountIn({ kind, name, namespace: place }: RbacV1Subject, namespace: string): string | undefined {
  const user = `system:serviceaccount:${namespace}:`;
  if (kind === 'ServiceAccount') return place === namespace ? name : undefined;
  if (kind === 'User') return name.startsWith(user) ? name.slice(user.length) : undefined;
  return kind === 'Group' && name === `system:serviceaccounts:${namespace}` ? '*' : undefined;
}
