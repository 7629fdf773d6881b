/**
 * Attempts at TkaSignins and credentials, with who makes them and what must refuse them, if anything must.
 * Nothing is stored: writes are dry runs, which pass through admission like any other. attempts-bindings.ts has
 * those at bindings, attempts-server.ts those at tka's server.
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
export interface Attempt {
  readonly title: string;
  /** A user; tka's own, with a token of its account. */
  readonly as: string;
  /** Impersonated by somebody whose rights end there, even if it is tka. */
  readonly isImpersonated?: true;
  readonly args: (session: string, account: string) => readonly string[];
  readonly input?: string;
  /** undefined: it is allowed. */
  readonly refusedBy?: RegExp;
}

export const byPolicy = (name: string): RegExp => new RegExp(`ValidatingAdmissionPolicy '${name}'`);
export const create = ['create', '-f', '-', '--dry-run=server'];

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
    title: 'an impersonated tka writing a TkaSignin',
    as: tka,
    isImpersonated: true,
    args: () => create,
    input: signinYaml('forged'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: 'an impersonated garbage collector moving the end of a session',
    as: 'system:serviceaccount:kube-system:generic-garbage-collector',
    isImpersonated: true,
    args: (name) => patch(name, '{"spec":{"expiresAt":"2099-01-01T00:00:00Z"}}'),
    refusedBy: byPolicy('tka-signins'),
  },
  {
    title: "an impersonated tka minting a session's token",
    as: tka,
    isImpersonated: true,
    args: (_session, name) => ['create', 'token', name, '-n', namespace],
    refusedBy: byPolicy('tka-credentials'),
  },
  ...(
    [
      ['making an object', ['create', 'configmap', 'c', '-n', 'default']],
      ['changing one', ['annotate', 'clusterrole', 'view', 'a=b']],
      ['deleting one', ['delete', 'clusterrole', 'view']],
      ['binding a role', ['create', 'clusterrolebinding', 'b', '--clusterrole=view', '--user=eve']],
      ['minting a token', ['create', 'token', 'default', '-n', 'default']],
    ] as const
  ).map(([title, args]) => ({
    title: `an impersonated session's account ${title}`,
    as: 'mallory',
    args: (_session: string, account: string) => [
      ...args,
      `--as=system:serviceaccount:${namespace}:${account}`,
      ...(args[1] === 'token' ? [] : ['--dry-run=server']),
    ],
    refusedBy: byPolicy('tka-sessions'),
  })),
  {
    title: "an impersonated session's account reading, which no policy is asked about",
    as: 'mallory',
    args: (_session, account) => ['get', 'clusterrole', 'view', `--as=system:serviceaccount:${namespace}:${account}`],
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
