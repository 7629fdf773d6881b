/**
 * From the Go product of the same name to this one: same CRD name, other schema. Its CRD and objects are put back first,
 * as its operator leaves them; then manifests/ is applied over them. Last of the cases: it replaces the CRD.
 */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { describeLegacy, findLegacy, removeLegacy } from '../../node/legacy/index.ts';
import { until } from '../../dev/stack/until.ts';
import { login, namespace, patience, signIn, tokenOf, type World } from './world.ts';

const manifests = fileURLToPath(new URL('../../manifests', import.meta.url));

export const oldCrd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tkasignins.tka.specht-labs.de}
spec:
  group: tka.specht-labs.de
  names: {kind: TkaSignin, listKind: TkaSigninList, plural: tkasignins, singular: tkasignin, shortNames: [signin]}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [role, username, validity_period]
              properties: {role: {type: string}, username: {type: string}, validity_period: {type: string}}
            status:
              type: object
              required: [provisioned, signed_in, valid_until]
              properties: {provisioned: {type: boolean}, signed_in: {type: string}, valid_until: {type: string}}
`;

export const oldSession = (user: string, place: string, role: string, finalizers = '[]'): string => `
apiVersion: tka.specht-labs.de/v1alpha1
kind: TkaSignin
metadata: {name: tka-user-${user}, namespace: ${place}, finalizers: ${finalizers}}
spec: {username: ${user}, role: ${role}, validity_period: 8h0m0s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: tka-user-${user}, namespace: ${place}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tka-user-${user}-binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role}}
subjects: [{kind: ServiceAccount, name: tka-user-${user}, namespace: ${place}}]
`;

/** Of other people, and to be left alone. */
const innocents = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: tka-user-portal, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tka-user-group-binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: Group, name: people, apiGroup: rbac.authorization.k8s.io}]
`;

export function upgradeCases(world: () => World): void {
  test.serial('what the earlier product left is reported, left alone, and removed on request', async (t) => {
    const kubectl: World['stack']['kubectl'] = (args, options) => world().stack.kubectl(args, options);
    const must = async (args: readonly string[], input = ''): Promise<void> => {
      const { code, stderr } = await kubectl(args, { input });
      if (code !== 0) throw new Error(stderr);
    };
    await must(['delete', 'crd', 'tkasignins.tka.specht-labs.de', '--timeout=20s']);
    await must(['create', '-f', '-'], oldCrd);
    await must(['create', 'namespace', 'tka-dev']);
    await must(['wait', '--for=condition=Established', 'crd/tkasignins.tka.specht-labs.de']);
    const old = [
      oldSession('alice', 'tka-dev', 'cluster-admin'),
      oldSession('bob', namespace, 'view'),
      oldSession('held', 'tka-dev', 'view', '[example.com/hold]'),
      innocents,
    ].join('---');
    await until(async () => (await kubectl(['apply', '-f', '-'], { input: old })).code === 0, {
      what: 'the old objects',
      timeoutMs: 10_000,
    });
    await must(['apply', '--server-side', '--force-conflicts', '-k', manifests]);

    // tka runs beside them: it reports what its own rights show, and works.
    {
      await using running = await world().run();
      t.deepEqual(running.reconciler.state.foreign, ['tka-user-bob']);
      t.is(await world().statusWith(await tokenOf(running, await signIn(running, login('alice')))), 200);
      const seen = await findLegacy(running.kubernetes, patience());
      t.false(seen.complete);
      t.deepEqual(seen.objects.map(describeLegacy).sort(), [
        'ClusterRoleBinding tka-user-alice-binding (cluster-admin)',
        'ClusterRoleBinding tka-user-bob-binding (view)',
        'ClusterRoleBinding tka-user-held-binding (view)',
        'TkaSignin tka-dev/tka-user-alice (cluster-admin)',
        'TkaSignin tka-dev/tka-user-held (view)',
        'TkaSignin tka-sessions/tka-user-bob (view)',
      ]);
      for (const { metadata } of running.reconciler.list()) {
        await running.reconciler.end(metadata.name, 'logout', patience());
      }
    }

    // An administrator sees all of it, and removes it.
    const found = await findLegacy(world().admin, patience());
    t.true(found.complete);
    t.is(found.objects.length, 9, found.objects.map(describeLegacy).join('\n'));
    const { removed, held } = await removeLegacy(world().admin, found.objects, patience());
    t.is(removed.length, 8);
    t.deepEqual(held.map(describeLegacy), ['TkaSignin tka-dev/tka-user-held (view)']);
    // What held it lets go, though the object does not fit the schema any more.
    await must([
      'patch',
      'signin',
      'tka-user-held',
      '-n',
      'tka-dev',
      '--type=merge',
      '-p={"metadata":{"finalizers":null}}',
    ]);
    t.deepEqual(await findLegacy(world().admin, patience()), { objects: [], complete: true });
    t.is((await kubectl(['get', 'sa', 'tka-user-portal', '-n', 'default'])).code, 0);
    t.is((await kubectl(['get', 'clusterrolebinding', 'tka-user-group-binding'])).code, 0);
    t.is(
      (await removeLegacy(world().admin, found.objects, patience())).removed.length,
      8,
      'removing twice is no error',
    );
  });
}
