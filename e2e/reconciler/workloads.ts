/** Objects that make pods in tka-system, with the account that those run under. They are made to be admitted or refused, never to run. */
import { stringify } from 'yaml';

const namespace = 'tka-system';

const podSpec = (account: string, image = 'x'): unknown => ({
  serviceAccountName: account,
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    { name: 'c', image, securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  ],
});
const labels = { app: 'attempt' };
const template = (account: string, image?: string): unknown => ({
  metadata: { labels },
  spec: { ...(podSpec(account, image) as object), restartPolicy: 'Always' },
});
const once = (account: string): unknown => ({
  metadata: { labels },
  spec: { ...(podSpec(account) as object), restartPolicy: 'Never' },
});
export const objectYaml = (apiVersion: string, kind: string, name: string, rest: object): string =>
  stringify({ apiVersion, kind, metadata: { name, namespace, labels }, ...rest });
const selector = { matchLabels: labels };

const owned = (owner: string): object => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  name: owner,
  uid: '6b7c0a5e-1f0e-4c8b-9d53-8f0a4e1d2c3b',
  controller: true,
});
export const podYaml = (name: string, account: string, owner?: string): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, ...(owner === undefined ? {} : { ownerReferences: [owned(owner)] }) },
    spec: podSpec(account),
  });
export const statefulSetYaml = (name: string, account: string, image?: string): string =>
  objectYaml('apps/v1', 'StatefulSet', name, {
    spec: { serviceName: name, selector, replicas: 0, template: template(account, image) },
  });

/** By what it is called. */
export const workloads = (account: string): Readonly<Record<string, string>> => ({
  pod: podYaml('attempt', account),
  'pod with the old name of the field': podYaml('attempt', account).replace('serviceAccountName:', 'serviceAccount:'),
  'pod that says it is of the StatefulSet': podYaml('attempt', account, 'tka'),
  deployment: objectYaml('apps/v1', 'Deployment', 'tka', { spec: { selector, template: template(account) } }),
  statefulset: statefulSetYaml('attempt', account),
  daemonset: objectYaml('apps/v1', 'DaemonSet', 'tka', { spec: { selector, template: template(account) } }),
  replicaset: objectYaml('apps/v1', 'ReplicaSet', 'tka', { spec: { selector, template: template(account) } }),
  replicationcontroller: objectYaml('v1', 'ReplicationController', 'tka', {
    spec: { selector: labels, template: template(account) },
  }),
  podtemplate: objectYaml('v1', 'PodTemplate', 'tka', { template: template(account) }),
  job: objectYaml('batch/v1', 'Job', 'tka', { spec: { template: once(account) } }),
  cronjob: objectYaml('batch/v1', 'CronJob', 'tka', {
    spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template: once(account) } } },
  }),
});
