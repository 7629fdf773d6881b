/**
 * What somebody may try at the objects that tka's safety rests on, with who tries it and what must refuse it, if anything
 * must. Nothing is stored: writes are dry runs, which pass through admission
 * like any other.
 */
import { namespace, tka } from './world.ts';

const signinYaml = (name: string): string => `
apiVersion: tka.specht-labs.de/v1alpha1
kind: TkaSignin
metadata: {name: ${name}, namespace: ${namespace}}
spec: {subject: "control.example|user:9", username: mallory, role: cluster-admin, expiresAt: "2099-01-01T00:00:00Z"}
`;
const secretYaml = (name: string, place: string, account: string): string => `
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: ${name}, namespace: ${place}, annotations: {kubernetes.io/service-account.name: ${account}}}
`;
const podYaml = `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ${namespace}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - {name: c, image: x, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
`;
const bindingYaml = (
  subject: string,
  options: {
    readonly kind?: string;
    readonly namespace?: string;
    readonly role?: string;
    readonly roleKind?: string;
  } = {},
): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: ${options.kind ?? 'ClusterRoleBinding'}
metadata: {name: attempt${options.namespace === undefined ? '' : `, namespace: ${options.namespace}`}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ${options.roleKind ?? 'ClusterRole'}, name: ${options.role ?? 'view'}}
subjects: [${subject}]
`;
const sessionAccount = `{kind: ServiceAccount, name: x, namespace: ${namespace}}`;

export interface Attempt {
  readonly title: string;
  readonly as: string;
  readonly args: (session: string, account: string) => readonly string[];
  readonly input?: string;
  /** undefined: it is allowed. */
  readonly refusedBy?: RegExp;
}

const byPolicy = (name: string): RegExp => new RegExp(`ValidatingAdmissionPolicy '${name}'`);
const create = ['create', '-f', '-', '--dry-run=server'];

export const attempts: readonly Attempt[] = [
  {
    title: 'writing a TkaSignin by hand',
    as: 'mallory',
    args: () => create,
    input: signinYaml('forged'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'moving the end of a session',
    as: 'mallory',
    args: (session) => patch(session, '{"spec":{"expiresAt":"2099-01-01T00:00:00Z"}}'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'writing a status',
    as: 'mallory',
    args: (session) => [...patch(session, '{"status":{"serviceAccountName":"x"}}'), '--subresource=status'],
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'labelling a session',
    as: 'mallory',
    args: (session) => patch(session, '{"metadata":{"labels":{"a":"b"}}}'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'annotating a session with another node',
    as: 'mallory',
    args: (session) => patch(session, '{"metadata":{"annotations":{"a":"b"}}}'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'a change of finalizers alone',
    as: 'mallory',
    args: (session) => patch(session, '{"metadata":{"finalizers":[]}}'),
  },
  {
    title: 'deleting a session',
    as: 'mallory',
    args: (session) => ['delete', 'signin', session, '-n', namespace, '--dry-run=server'],
  },
  {
    title: "minting a session's token",
    as: 'mallory',
    args: (_session, account) => ['create', 'token', account, '-n', namespace],
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: "minting tka's own token",
    as: 'mallory',
    args: () => ['create', 'token', 'tka', '-n', 'tka-system'],
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: "a Secret that would hold a session's token",
    as: 'mallory',
    args: (_session, _account) => create,
    input: secretYaml('s', namespace, 'x'),
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: "a Secret that would hold tka's token",
    as: 'mallory',
    args: () => create,
    input: secretYaml('s', 'tka-system', 'tka'),
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: 'any Secret among the sessions',
    as: 'mallory',
    args: () => ['create', 'secret', 'generic', 's', '-n', namespace, '--dry-run=server'],
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: 'an ordinary Secret of tka-system',
    as: 'mallory',
    args: () => ['create', 'secret', 'generic', 's', '-n', 'tka-system', '--dry-run=server'],
  },
  {
    title: 'a pod among the sessions',
    as: 'mallory',
    args: () => create,
    input: podYaml,
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: 'an account among the sessions',
    as: 'mallory',
    args: () => ['create', 'sa', 'x', '-n', namespace, '--dry-run=server'],
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: 'a change of an account among the sessions',
    as: 'mallory',
    args: (_session, account) => ['annotate', 'sa', account, 'a=b', '-n', namespace, '--dry-run=server'],
    refusedBy: byPolicy('tka-credentials'),
  },
  {
    title: 'a token of an account elsewhere',
    as: 'mallory',
    args: () => ['create', 'token', 'default', '-n', 'default'],
  },
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
  {
    title: "tka minting another namespace's token",
    as: tka,
    args: () => ['create', 'token', 'default', '-n', 'default'],
    refusedBy: /cannot create resource "serviceaccounts\/token"/,
  },
];

export function patch(session: string, body: string): readonly string[] {
  return ['patch', 'signin', session, '-n', namespace, '--type=merge', `-p=${body}`, '--dry-run=server'];
}
