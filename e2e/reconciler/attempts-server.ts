/**
 * Attempts at tka's own account, pods, Secrets and settings in tka-system. `eve` holds edit in the whole cluster, `ned` edit in
 * tka-system, `mallory` cluster-admin without system:masters, `ingrid` the Role tka-installer and edit in tka-system.
 */
import { type Attempt, byPolicy, create } from './attempts.ts';
import { objectYaml, podYaml, statefulSetYaml, workloads } from './workloads.ts';
import { tka } from './world.ts';

const namespace = 'tka-system';
const refusedBy = byPolicy('tka-server');
const controller = 'system:serviceaccount:kube-system:statefulset-controller';

/** The pod that the attempts are made at; it never runs. */
export const targetPod = 'tka-0';

/** Kinds that edit has no right on at all. */
const notOfEdit = new Set(['podtemplate']);
const dryRun = '--dry-run=server';
const inNamespace = ['-n', namespace, dryRun];
const patchOf = (what: readonly string[], body: unknown): readonly string[] => [
  'patch',
  ...what,
  ...inNamespace,
  '--type=strategic',
  `-p=${JSON.stringify(body)}`,
];
const image = { containers: [{ name: 'c', image: 'another' }] };
const revision = objectYaml('apps/v1', 'ControllerRevision', 'tka-attempt', { revision: 1, data: { spec: {} } });

/** With edit, in the whole cluster or in tka-system alone. */
const byEditor = (as: string): readonly Attempt[] => [
  ...Object.entries(workloads('tka'))
    .filter(([kind]) => !notOfEdit.has(kind))
    .map(([kind, input]): Attempt => ({
      title: `${as} making a ${kind} with tka's account`,
      as,
      args: () => create,
      input,
      refusedBy,
    })),
  ...Object.entries(workloads('default'))
    .filter(([kind]) => !notOfEdit.has(kind))
    .map(([kind, input]): Attempt => ({
      title: `${as} making a ${kind} with another account`,
      as,
      args: () => create,
      input,
    })),
  {
    title: `${as} making the StatefulSet again`,
    as,
    args: () => create,
    input: statefulSetYaml('tka-again', 'tka'),
    refusedBy,
  },
  {
    title: `${as} changing the image in the StatefulSet`,
    as,
    args: () => patchOf(['statefulset', 'tka'], { spec: { template: { spec: image } } }),
    refusedBy,
  },
  {
    title: `${as} annotating the StatefulSet's template, by which a webhook may add a container`,
    as,
    args: () => patchOf(['statefulset', 'tka'], { spec: { template: { metadata: { annotations: { a: 'b' } } } } }),
    refusedBy,
  },
  {
    title: `${as} scaling the StatefulSet`,
    as,
    args: () => ['scale', 'statefulset/tka', '--replicas=0', ...inNamespace],
  },
  {
    title: `${as} changing the number of replicas in the StatefulSet itself`,
    as,
    args: () => patchOf(['statefulset', 'tka'], { spec: { replicas: 1 } }),
  },
  {
    title: `${as} labelling the StatefulSet`,
    as,
    args: () => patchOf(['statefulset', 'tka'], { metadata: { labels: { a: 'b' } } }),
  },
  {
    title: `${as} changing the image of the pod`,
    as,
    args: () => patchOf(['pod', targetPod], { spec: image }),
    refusedBy,
  },
  {
    title: `${as} labelling the pod`,
    as,
    args: () => patchOf(['pod', targetPod], { metadata: { labels: { a: 'b' } } }),
  },
  {
    title: `${as} deleting the pod`,
    as,
    args: () => ['delete', 'pod', targetPod, ...inNamespace],
  },
  { title: `${as} exec into the pod`, as, args: () => ['exec', targetPod, '-n', namespace, '--', 'sh'], refusedBy },
  { title: `${as} attach to the pod`, as, args: () => ['attach', targetPod, '-n', namespace], refusedBy },
  {
    title: `${as} port-forward to the pod`,
    as,
    args: () => ['create', '--raw', `/api/v1/namespaces/${namespace}/pods/${targetPod}/portforward`, '-f', '-'],
    input: '{}',
    refusedBy,
  },
  {
    title: `${as} adding an ephemeral container to the pod`,
    as,
    args: () => ['debug', targetPod, '-n', namespace, '--image=x', '--profile=restricted'],
    refusedBy,
  },
  {
    title: `${as} replacing a key of tka`,
    as,
    args: () => patchOf(['secret', 'tka-server-key'], { stringData: { key: 'mine' } }),
    refusedBy,
  },
  {
    title: `${as} making the Secret that becomes tka's environment`,
    as,
    args: () => [
      'create',
      'secret',
      'generic',
      'tka-auth',
      '--from-literal=TS_CONTROL_URL=http://mine',
      ...inNamespace,
    ],
    refusedBy,
  },
  {
    title: `${as} making settings of tka`,
    as,
    args: () => ['create', 'configmap', 'tka-config', '--from-literal=config.yaml=', ...inNamespace],
    refusedBy,
  },
  {
    title: `${as} replacing the CA of the API server`,
    as,
    args: () => ['create', 'configmap', 'kube-root-ca.crt', '--from-literal=ca.crt=mine', ...inNamespace],
    refusedBy,
  },
  {
    title: `${as} binding the Role of installers`,
    as,
    args: () => ['create', 'rolebinding', 'attempt', '--role=tka-installer', `--user=${as}`, ...inNamespace],
    refusedBy: /forbidden/i,
  },
];

/** In tka-system alone, edit is the same edit: of each kind of attempt that is refused, one of the workloads is enough. */
const byNamespaceEditor = byEditor('ned').filter(
  ({ title, refusedBy: refused }) =>
    refused !== undefined && (!title.includes("tka's account") || title.includes(' job ')),
);

const byImpersonators: readonly Attempt[] = [
  {
    title: 'an impersonated StatefulSet controller making a pod of the StatefulSet',
    as: controller,
    isImpersonated: true,
    args: () => create,
    input: podYaml('tka-1', 'tka', 'tka'),
    refusedBy,
  },
  {
    title: 'an impersonated tka replacing its own key',
    as: tka,
    isImpersonated: true,
    args: () => patchOf(['secret', 'tka-server-key'], { stringData: { key: 'mine' } }),
    refusedBy,
  },
  {
    title: 'an impersonated tka taking the Lease',
    as: tka,
    isImpersonated: true,
    args: () => create,
    input: objectYaml('coordination.k8s.io/v1', 'Lease', 'tka', { spec: { holderIdentity: 'mine' } }),
    refusedBy,
  },
  {
    title: 'an impersonated account that is cluster-admin changing the image in the StatefulSet',
    as: 'system:serviceaccount:default:argocd',
    isImpersonated: true,
    args: () => patchOf(['statefulset', 'tka'], { spec: { template: { spec: image } } }),
    refusedBy,
  },
];

const byTka: readonly Attempt[] = [
  {
    title: 'tka writing its own key',
    as: tka,
    args: () => patchOf(['secret', 'tka-server-key'], { stringData: { key: 'new' } }),
  },
  {
    title: 'tka taking the Lease',
    as: tka,
    args: () => create,
    input: objectYaml('coordination.k8s.io/v1', 'Lease', 'tka', { spec: { holderIdentity: 'tka-0' } }),
  },
];

/** Who may: with the Role of installers, or by cluster-admin's `*`. */
const byInstallers = ['ingrid', 'mallory'].flatMap((as): readonly Attempt[] => [
  {
    title: `${as} changing the image in the StatefulSet`,
    as,
    args: () => patchOf(['statefulset', 'tka'], { spec: { template: { spec: image } } }),
  },
  {
    // What kubectl rollout restart sends, which refuses by itself to do so twice in a second.
    title: `${as} restarting`,
    as,
    args: () => {
      const annotations = { 'kubectl.kubernetes.io/restartedAt': `${new Date().toISOString()} ${as}` };
      return patchOf(['statefulset', 'tka'], { spec: { template: { metadata: { annotations } } } });
    },
  },
  {
    title: `${as} making the Secret to join with`,
    as,
    args: () => ['create', 'secret', 'generic', 'tka-auth', ...inNamespace],
  },
  {
    title: `${as} making settings of tka`,
    as,
    args: () => ['create', 'configmap', 'tka-config', ...inNamespace],
  },
  {
    title: `${as} exec into the pod`,
    as,
    args: () => ['exec', targetPod, '-n', namespace, '--', 'sh'],
    // The pod never runs: the policy has let it through.
    refusedBy: /does not have a host assigned/,
  },
  // An operator that is cluster-admin must not be a way for those it makes pods for.
  {
    title: `${as} making a pod with tka's account`,
    as,
    args: () => create,
    input: podYaml('attempt', 'tka'),
    refusedBy,
  },
  {
    title: `${as} making a StatefulSet of another name with tka's account`,
    as,
    args: () => create,
    input: statefulSetYaml('attempt', 'tka'),
    refusedBy,
  },
]);

const byOthers: readonly Attempt[] = [
  {
    title: 'eve taking the Lease of the leader',
    as: 'eve',
    args: () => create,
    input: objectYaml('coordination.k8s.io/v1', 'Lease', 'tka', { spec: { holderIdentity: 'mine' } }),
    refusedBy: /forbidden/i,
  },
  {
    title: "mallory making a ControllerRevision's pods out of nothing",
    as: 'mallory',
    args: () => create,
    input: revision,
  },
];

export const serverAttempts: readonly Attempt[] = [
  ...byEditor('eve'),
  ...byNamespaceEditor,
  ...byImpersonators,
  ...byTka,
  ...byInstallers,
  ...byOthers,
];
