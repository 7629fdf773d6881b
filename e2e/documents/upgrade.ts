/**
 * docs/upgrade.md, done from its first line to its last, on a cluster as the Go server leaves it: every command, there and back.
 * Leaves the stack as it found it, but for its sessions.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { type Page, root } from '../../dev/docs/markdown.ts';
import type { Result } from '../../dev/stack/processes.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { oldCrd, oldSession } from '../reconciler/upgrade.ts';

/** A released configuration file, and the Go server's own Deployment. */
const oldConfig = 'server: {readTimeout: 10s}\noperator: {clusterName: demo}\napi: {retryAfterSeconds: 1}\n';
const oldServer = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tka, namespace: tka-dev}
spec:
  selector: {matchLabels: {app: tka}}
  template:
    metadata: {labels: {app: tka}}
    spec: {containers: [{name: tka, image: example.com/tka}]}
`;

export function upgradeGuideCases(stack: () => Stack, person: string, { text }: Page): void {
  /** The commands under a heading, in the order of the page. */
  const under = (heading: string): readonly string[] => {
    const section = new RegExp(`^## ${heading}.*?$(.*?)(?=^## |(?![^]))`, 'ms').exec(text)?.[1] ?? '';
    return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, script = '']) => script);
  };

  test.serial('the upgrade from the Go server goes as its page says, and so does the way back', async (t) => {
    t.timeout(180_000);
    const { kubernetes, kubeconfig, dir, binDir } = stack();
    const place = join(dir, 'upgrade');
    await mkdir(place);
    await writeFile(join(place, 'config.yaml'), oldConfig);
    for (const folder of ['manifests', 'crd']) await symlink(join(root, folder), join(place, folder));
    await symlink(join(root, 'dist/tka-server.js'), join(binDir, 'tka-server'));

    const admin = async (script: string): Promise<string> => {
      const env = { KUBECONFIG: kubeconfig, HTTP_PROXY: '', HTTPS_PROXY: '' };
      return output(await stack().runAs(person, 'bash', ['-ec', script], { env, cwd: place }));
    };
    const apply = async (objects: string, how = 'apply'): Promise<void> => {
      output(await kubernetes.kubectl([how, '-f', '-'], { input: objects }));
    };
    const steps = (heading: string, count: number): readonly string[] => {
      const scripts = under(heading);
      t.is(scripts.length, count, `${heading}: ${scripts.join('')}`);
      return scripts;
    };

    // As the Go server leaves it.
    await stack().stopTka();
    // What is of the whole cluster; the namespaces, whose deletion takes its time, are empty.
    await admin('kubectl delete crd tkasignins.tka.specht-labs.de');
    const kinds = 'clusterrolebindings,clusterroles,validatingadmissionpolicybindings,validatingadmissionpolicies';
    await admin(`kubectl delete ${kinds} -l app.kubernetes.io/part-of=tka`);
    await apply(oldCrd);
    await apply('apiVersion: v1\nkind: Namespace\nmetadata: {name: tka-dev}');
    await admin('kubectl wait --for=condition=Established crd/tkasignins.tka.specht-labs.de');
    await apply(oldSession('alice', 'tka-dev', 'cluster-admin'));
    await apply(oldServer);

    const [look = ''] = steps('1', 1);
    const seen = await admin(look);
    for (const one of [
      'ClusterRoleBinding tka-user-alice-binding',
      'ServiceAccount tka-dev/tka-user-alice',
      'server',
    ]) {
      t.true(seen.includes(one), seen);
    }
    await admin(steps('2', 1).join(''));
    await admin(steps('3', 1).join(''));
    await stack().startTka();
    t.true(stack().tka.readLog().includes('an earlier tka left access that never expires: run tka-server legacy'));
    const used = await stack().runAs(person, 'bash', ['-ec', steps('4', 1).join('')], {
      env: { TKA_SERVER: stack().tka.url },
    });
    t.regex(output(used), /system:serviceaccount:tka-sessions:/);
    await admin(steps('5', 1).join(''));
    t.regex(await admin('tka-server legacy'), /An earlier tka left nothing here/);

    // And back.
    const [end = '', remove = '', start = ''] = steps('Roll back', 3);
    await admin(end);
    await stack().stopTka();
    await admin(remove);
    t.regex(await admin('kubectl get crd'), /^$|No resources/);
    await apply(oldCrd, 'create');
    await apply(oldServer);
    await admin(start);

    await admin('kubectl delete crd tkasignins.tka.specht-labs.de; kubectl delete namespace tka-dev --wait=false');
    await admin('kubectl apply --server-side -k manifests/cluster');
    await stack().startTka();
  });
}

function output({ code, stdout, stderr }: Result): string {
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}${stderr}`);
  return stdout + stderr;
}
