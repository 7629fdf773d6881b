/**
 * The stack that the proxy is measured on: one user who may edit, a small object, and a namespace whose ConfigMaps are a LIST of 2 MB.
 */
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';

export const user = 'bench@example.com';
export const namespace = 'bench';
export const smallPath = '/api/v1/namespaces/default/configmaps/small';
export const listPath = `/api/v1/namespaces/${namespace}/configmaps`;

export async function startCluster(): Promise<Stack> {
  const stack = await startStack({
    users: [user],
    policy: policyOf({ [user]: [{ role: 'edit', period: '8h', priority: 1 }] }),
  });
  await fill(stack);
  return stack;
}

/** The credential that `tka login` gives kubectl. */
export async function proxyToken(on: Stack): Promise<string> {
  const options = { env: { TKA_SERVER: on.tka.url } };
  const login = await on.tkaCommand(user, ['login', '--non-interactive', '--mode', 'proxy', '-q'], options);
  const kubeconfig = await on.tkaCommand(user, ['kubeconfig', '--mode', 'proxy'], options);
  const token = /token: (\S+)/.exec(kubeconfig.stdout)?.[1];
  if (token === undefined) throw new Error(login.stderr + kubeconfig.stderr);
  return token;
}

async function fill(on: Stack): Promise<void> {
  const text = 'x'.repeat(2000);
  const configMap = (name: string, inside: string, data: object) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: inside },
    data,
  });
  const binding = (name: string, subject: object) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [subject],
  });
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'bench', namespace } },
    binding('bench-account', { kind: 'ServiceAccount', name: 'bench', namespace }),
    binding('bench-user', { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user }),
    configMap('small', 'default', { a: 'b' }),
    ...Array.from({ length: 900 }, (_, i) => configMap(`c-${i}`, namespace, { text })),
  ];
  const { code, stderr } = await on.kubectl(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });
  if (code !== 0) throw new Error(stderr);
}
