/**
 * What RBAC and the admission policies keep people, and tka itself, from doing. Everybody here is impersonated by the
 * cluster's admin, which the API server treats as the user itself; `mallory` holds cluster-admin, without system:masters.
 */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { accountName } from '../../crd/tkasignin.ts';
import { login, namespace, signIn, tka, type World } from './world.ts';

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

interface Attempt {
  readonly title: string;
  readonly as: string;
  readonly args: (session: string, account: string) => readonly string[];
  readonly input?: string;
  /** undefined: it is allowed. */
  readonly refusedBy?: RegExp;
}

const byPolicy = (name: string): RegExp => new RegExp(`ValidatingAdmissionPolicy '${name}'`);
const create = ['create', '-f', '-', '--dry-run=server'];

const attempts: readonly Attempt[] = [
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

function patch(session: string, body: string): readonly string[] {
  return ['patch', 'signin', session, '-n', namespace, '--type=merge', `-p=${body}`, '--dry-run=server'];
}

/** Verb, resource and place that tka must be refused. */
const notAllowed: readonly (readonly string[])[] = [
  ['escalate', 'clusterroles'],
  ['bind', 'clusterroles'],
  ['bind', 'clusterroles/system:node'],
  ['impersonate', 'users'],
  ['impersonate', 'serviceaccounts'],
  ['impersonate', 'groups'],
  ['get', 'secrets', '-A'],
  ['list', 'secrets', '-A'],
  ['get', 'secrets', '-n', namespace],
  ['get', 'secrets', '-n', 'tka-system'],
  ['create', 'serviceaccounts', '--subresource=token', '-A'],
  ['create', 'serviceaccounts', '--subresource=token', '-n', 'tka-system'],
  ['create', 'serviceaccounts', '-n', 'default'],
  ['create', 'pods', '-n', namespace],
  ['update', 'clusterrolebindings'],
  ['patch', 'clusterrolebindings'],
  ['create', 'clusterroles'],
  ['update', 'validatingadmissionpolicies'],
  ['delete', 'validatingadmissionpolicies'],
  ['create', 'namespaces'],
  ['deletecollection', 'clusterrolebindings'],
];

export function admissionCases(world: () => World): void {
  test.serial('the admission policies and RBAC refuse what they must, and nothing else', async (t) => {
    await using running = await world().run();
    const kubectl: World['stack']['kubectl'] = (args, options) => world().stack.kubectl(args, options);
    await kubectl(['create', 'clusterrolebinding', 'mallory', '--clusterrole=cluster-admin', '--user=mallory']);
    const signin = await signIn(running, login('alice'));
    // RBAC takes up the binding of mallory's a moment later.
    await until(async () => (await kubectl(['auth', 'can-i', '*', '*', '--as=mallory'])).stdout.trim() === 'yes', {
      what: "mallory's rights",
      timeoutMs: 10_000,
    });
    const results = await Promise.all(
      attempts.map(async ({ title, as, args, input = '', refusedBy }) => {
        const command = [...args(signin.metadata.name, accountName(signin)), `--as=${as}`];
        const { code, stderr } = await kubectl(command, { input });
        return { title, refusedBy, code, stderr };
      }),
    );
    for (const { title, refusedBy, code, stderr } of results) {
      if (refusedBy === undefined) t.is(code, 0, `${title}: ${stderr}`);
      else t.regex(stderr, refusedBy, title);
    }
    await kubectl(['delete', 'clusterrolebinding', 'mallory']);
    await world().endAll();
  });

  test.serial('tka holds no right that it does not need', async (t) => {
    const answers = await Promise.all(
      notAllowed.map(async (question) => {
        const { stdout } = await world().stack.kubectl(['auth', 'can-i', ...question, `--as=${tka}`]);
        return [question.join(' '), stdout.trim()] as const;
      }),
    );
    for (const [question, answer] of answers) t.is(answer, 'no', question);
    const { stdout } = await world().stack.kubectl(['auth', 'can-i', '--list', '-n', 'default', `--as=${tka}`]);
    t.notRegex(stdout, /\*\.\*|escalate|impersonate|secrets/);
  });

  test.serial('who a session belongs to and what it may do cannot be changed, by tka neither', async (t) => {
    await using running = await world().run();
    const cluster = await signIn(running, login('alice'));
    const inOne = await signIn(running, login('bob', { namespaces: ['default'] }));
    const changes: readonly (readonly [string, string])[] = [
      [cluster.metadata.name, '{"spec":{"subject":"control.example|user:2"}}'],
      [cluster.metadata.name, '{"spec":{"username":"mallory"}}'],
      [cluster.metadata.name, '{"spec":{"role":"cluster-admin"}}'],
      [cluster.metadata.name, '{"spec":{"namespaces":["default"]}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":null}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":["default","kube-system"]}}'],
      [inOne.metadata.name, '{"spec":{"namespaces":["kube-system"]}}'],
    ];
    for (const [name, body] of changes) {
      const { stderr } = await world().stack.kubectl([...patch(name, body), `--as=${tka}`]);
      t.regex(stderr, /immutable|cannot be added or removed/, body);
    }
    for (const body of ['{"spec":{"expiresAt":"soon"}}', '{"spec":{"expiresAt":"2099-01-01T00:00:00.5Z"}}']) {
      const { stderr } = await world().stack.kubectl([...patch(cluster.metadata.name, body), `--as=${tka}`]);
      t.regex(stderr, /expiresAt/, body);
    }
    await world().endAll();
  });

  test.serial('kubectl get signin shows who, what, whether and until when', async (t) => {
    await using running = await world().run();
    const { spec } = await signIn(running, login('alice'));
    const { stdout } = await world().stack.kubectl(['get', 'signin', '-n', namespace]);
    const [head = '', row = ''] = stdout.split('\n');
    t.regex(head, /NAME +USER +ROLE +READY +UNTIL +AGE/);
    t.regex(row, new RegExp(`alice@example\\.com +view +True +${spec.expiresAt}`));
    await world().endAll();
  });
}
