/**
 * The stack that the proxy is measured on: one user who may edit, a small object, and two namespaces whose ConfigMaps are a LIST of
 * 2 MB: one of a single letter, one of words.
 *
 * The letter compresses to next to nothing, and Go's HTTP client asks the API server for gzip where its caller does not: a reverse
 * proxy in Go then reads a hundredth of what it passes on. Words compress as manifests do.
 */
import { createHash } from 'node:crypto';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';

export const user = 'bench@example.com';
export const namespace = 'bench';
export const smallPath = '/api/v1/namespaces/default/configmaps/small';
export const listPath = `/api/v1/namespaces/${namespace}/configmaps`;
const wordsNamespace = 'bench-words';
export const wordsPath = `/api/v1/namespaces/${wordsNamespace}/configmaps`;

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
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: wordsNamespace } },
    ...Array.from({ length: 900 }, (_, i) => configMap(`c-${i}`, wordsNamespace, { text: wordsOf(i, text.length) })),
  ];
  const { code, stderr } = await on.kubectl(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  });
  if (code !== 0) throw new Error(stderr);
}

/** The same for the same seed: words of a vocabulary of 256, and now and then a digest, as manifests have them. */
function wordsOf(seed: number, length: number): string {
  const words: string[] = [];
  for (let i = 0, size = 0; size < length; i += 1) {
    const digest = createHash('sha256').update(`${seed}/${i}`).digest();
    const next = [...digest.subarray(0, 24)].map((byte) => vocabulary[byte] ?? '');
    const line = `${next.join(' ')}${i % 4 === 0 ? ` ${digest.toString('hex').slice(0, 32)}` : ''}\n`;
    words.push(line);
    size += line.length;
  }
  return words.join('').slice(0, length);
}

const vocabulary = Array.from({ length: 256 }, (_, i) => {
  const letters = createHash('sha256')
    .update(`word ${i}`)
    .digest('base64')
    .toLowerCase()
    .replaceAll(/[^a-z]/g, '');
  return letters.slice(0, 3 + (i % 8));
});
