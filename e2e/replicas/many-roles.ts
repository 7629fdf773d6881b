/** Roles enough for one person to have many sessions at once, and the right to bind them. */
import type { Stack } from '../../dev/stack/stack.ts';

export const roleNames = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `role-${i}`);

export async function makeRoles(stack: Stack, roles: readonly string[]): Promise<void> {
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];
  const items = roles.map((name) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name },
    rules,
  }));
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await run(stack, ['create', '-f', '-'], list);
  const patch = JSON.stringify(
    ['/rules/0/resourceNames'].map((path) => ({ op: 'replace', path, value: ['view', ...roles] })),
  );
  await run(stack, ['patch', 'clusterrole', 'tka-bindable-roles', '--type=json', `-p=${patch}`]);
}

async function run(stack: Stack, args: readonly string[], input = ''): Promise<void> {
  const { code, stderr } = await stack.kubectl(args, { input });
  if (code !== 0) throw new Error(stderr);
}
