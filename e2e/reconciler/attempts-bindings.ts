/** Attempts of tka itself, or of what passes for it, at ClusterRoleBindings and RoleBindings. */
import { accountName } from '../../crd/tkasignin.ts';
import { type Attempt, byPolicy, create } from './attempts.ts';
import { namespace, tka } from './world.ts';

const bindingYaml = (
  subject: string,
  options: {
    readonly kind?: string;
    readonly namespace?: string;
    readonly role?: string;
    readonly roleKind?: string;
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
  } = {},
): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: ${options.kind ?? 'ClusterRoleBinding'}
metadata:
  name: ${options.name ?? account}
  labels: ${JSON.stringify(options.labels ?? labels)}
  ${options.namespace === undefined ? '' : `namespace: ${options.namespace}`}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ${options.roleKind ?? 'ClusterRole'}, name: ${options.role ?? 'view'}}
subjects: [${subject}]
`;
/** A session as tka names it; that it exists no policy can check. */
const session = { name: 'alice-0123456789', uid: '6b7c0a5e-1f0e-4c8b-9d53-8f0a4e1d2c3b' };
const account = accountName({ metadata: session });
const labels = {
  'app.kubernetes.io/managed-by': 'tka',
  'tka.specht-labs.de/install': namespace,
  'tka.specht-labs.de/signin': session.name,
  'tka.specht-labs.de/signin-uid': session.uid,
};
const accountOf = (name: string): string => `{kind: ServiceAccount, name: ${name}, namespace: ${namespace}}`;
const sessionAccount = accountOf(account);

export const bindingAttempts: readonly Attempt[] = [
  {
    title: 'tka binding a user',
    as: tka,
    args: () => create,
    input: bindingYaml('{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}'),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding itself',
    as: tka,
    args: () => create,
    input: bindingYaml('{kind: ServiceAccount, name: tka, namespace: tka-system}'),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding a session account and a user',
    as: tka,
    args: () => create,
    input: bindingYaml(`${sessionAccount}, {kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}`),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding nobody',
    as: tka,
    args: () => create,
    input: bindingYaml(''),
    refusedBy: byPolicy('tka-bindings'),
  },
  { title: 'tka binding a session account', as: tka, args: () => create, input: bindingYaml(sessionAccount) },
  {
    title: 'tka binding a session account under a second name',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { name: `${account}-2` }),
  },
  {
    title: 'tka binding a session account under the name of nothing',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { name: 'attempt' }),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: "tka binding an account among the sessions that is no session's",
    as: tka,
    args: () => create,
    input: bindingYaml(accountOf('default'), { name: 'default' }),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding two session accounts at once',
    as: tka,
    args: () => create,
    input: bindingYaml(`${sessionAccount}, ${sessionAccount}`),
    refusedBy: byPolicy('tka-bindings'),
  },
  ...Object.keys(labels).map((label): Attempt => ({
    title: `tka binding a session account without the label ${label}`,
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, {
      labels: Object.fromEntries(Object.entries(labels).filter(([name]) => name !== label)),
    }),
    refusedBy: byPolicy('tka-bindings'),
  })),
  {
    title: 'tka binding the account of another session than its labels name',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { labels: { ...labels, 'tka.specht-labs.de/signin': 'bob-0123456789' } }),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'an impersonated tka binding a session account',
    as: tka,
    isImpersonated: true,
    args: () => create,
    input: bindingYaml(sessionAccount),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding a session account in a namespace',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { kind: 'RoleBinding', namespace: 'default' }),
  },
  {
    title: 'tka binding a session account among the sessions',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { kind: 'RoleBinding', namespace }),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: "tka binding a session account in tka's namespace",
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { kind: 'RoleBinding', namespace: 'tka-system' }),
    refusedBy: byPolicy('tka-bindings'),
  },
  {
    title: 'tka binding a role that is not in its list',
    as: tka,
    args: () => create,
    input: bindingYaml(sessionAccount, { role: 'system:node' }),
    refusedBy: /attempting to grant RBAC permissions not currently held/,
  },
  {
    title: 'tka deleting a binding that is not its own',
    as: tka,
    args: () => ['delete', 'clusterrolebinding', 'cluster-admin', '--dry-run=server'],
    refusedBy: byPolicy('tka-bindings'),
  },
];
