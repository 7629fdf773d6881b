/**
 * The Kubernetes API at the root of tka's name, where clients look for it that know no path of a server's URL, beside tka's own API and
 * beside `/k8s`, which kubeconfigs from before still have. Byte by byte: node/proxy/root.test.ts.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Result } from '../../dev/stack/processes.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { Caller, type Entry } from './caller.ts';
import { envOf, everyProtocol, logIn } from './pod-streams.ts';
import { Running } from './running.ts';
import { logged } from './server-log.ts';

const places = { 'the root': '', '/k8s': '/k8s' } as const;

export function apiAtTheRoot(stackOf: () => Stack, user: string): void {
  const kubectl = (args: readonly string[], env: Record<string, string> = {}): Promise<Result> =>
    stackOf().runAs(user, 'kubectl', args, { env });

  for (const flags of [['--port=0'], ['--port=0', '--append-server-path'], ['--port=0', '--api-prefix=/prefixed']])
    test.serial(`kubectl proxy ${flags.join(' ')} serves the API to a local client`, async (t) => {
      const stack = stackOf();
      await logIn(stack, user);
      const serving = new Running(t, stack, user, ['kubectl', 'proxy', ...flags]);
      const [, port] = /:(\d+)$/.exec(await serving.says(/^Starting to serve on/)) ?? [];
      const prefix = flags[1]?.startsWith('--api-prefix') === true ? '/prefixed' : '';
      const at = `http://127.0.0.1:${port}${prefix}`;
      const list = await fetch(`${at}/api/v1/namespaces/default/configmaps`);
      t.is(list.status, 200);
      t.like(await list.json(), { kind: 'ConfigMapList' });
      const created = await fetch(`${at}/api/v1/namespaces/default/configmaps`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ metadata: { generateName: 'by-kubectl-proxy-' } }),
      });
      t.is(created.status, 201, await created.text());
      t.is((await fetch(`${at}/version`)).status, 200);
    });

  for (const [title, path] of Object.entries(places))
    test.serial(`kubectl with the server's URL at ${title} gets, explains, executes and forwards`, async (t) => {
      const stack = stackOf();
      await logIn(stack, user);
      const server = `--server=https://${stack.tka.dnsName}${path}`;
      const ok = async (...args: readonly string[]): Promise<string> => {
        const { code, stdout, stderr } = await kubectl([server, ...args]);
        t.is(code, 0, `${args.join(' ')}: ${stderr}`);
        return stdout;
      };
      t.is(await ok('get', 'configmap', 'standing', '-o', 'name'), 'configmap/standing\n');
      // Discovery, and OpenAPI v3, whose index names its documents from the server's root.
      t.regex(await ok('api-resources', '--cached=false'), /^configmaps +cm +v1 /m);
      t.regex(await ok('explain', 'configmap.data'), /FIELD: data/);
      t.regex(await ok('get', '--raw', '/livez'), /^ok/);
      t.regex(await ok('get', '--raw', '/'), /"\/apis\/apps\/v1"/);
      for (const protocol of everyProtocol) {
        const ran = await kubectl([server, 'exec', 'pod', '--', 'echo', 'from the pod'], envOf(protocol));
        t.like(ran, { code: 0, stdout: 'from the pod\n' }, `${protocol}: ${ran.stderr}`);
        const forward = ['kubectl', server, 'port-forward', 'pod', '0:8080'] as const;
        const forwarding = new Running(t, stack, user, forward, envOf(protocol));
        const [, port] = /127\.0\.0\.1:(\d+) ->/.exec(await forwarding.says(/127\.0\.0\.1/)) ?? [];
        t.is((await fetch(`http://127.0.0.1:${port}/one`)).status, 200, protocol);
      }
    });

  test.serial('curl with the token of a kubeconfig asks for a path as the API server has it', async (t) => {
    const stack = stackOf();
    const caller = Caller.of(stack, user);
    const { token } = await caller.login();
    const file = join(stack.machine(user).home, 'token-header');
    await writeFile(file, `Authorization: Bearer ${token}`, { mode: 0o600 });
    const asked = `https://${stack.tka.dnsName}/api/v1/namespaces/default/configmaps/standing`;
    const curl = ['-sS', '--fail-with-body', '--cacert', caller.caFile, '-H', `@${file}`, asked];
    const { code, stdout, stderr } = await stack.runAs(user, 'curl', curl);
    t.is(code, 0, `${stderr}${stdout}`);
    t.like(JSON.parse(stdout), { kind: 'ConfigMap' });
  });

  const own = ['/api/v1alpha1/whoami', '/api/v1alpha1/sessions', '/.well-known/tka', '/openapi.json'];
  for (const path of own)
    test.serial(`${path} is tka's own without a token, and the API server's to answer with one`, async (t) => {
      const stack = stackOf();
      const caller = Caller.of(stack, user);
      const entry = atRoot(await caller.login());
      const answer = await caller.ask(entry, path, { headers: {} });
      t.is(answer.status, 200, answer.body);
      t.notRegex(answer.body, /"kind":"Status"/);
      const { status, body, headers } = await caller.ask(entry, path);
      t.is(status, 404, body);
      t.notRegex(body, /"code":"not_found"|tka/);
      const line = await logged(stack, { event: 'k8s', requestId: headers['x-request-id'] });
      t.like(line, { session: entry.session, status: 404 });
    });

  for (const path of ['/api', '/api/v1/pods', '/apis/apps/v1', '/openapi/v3', '/version', '/livez', '/k8s/api'])
    test.serial(`${path} without a token is a Status of 401, and reaches no API server`, async (t) => {
      const stack = stackOf();
      const caller = Caller.of(stack, user);
      const { status, body, headers } = await caller.ask(atRoot(await caller.login()), path, { headers: {} });
      t.is(status, 401);
      t.like(JSON.parse(body), { kind: 'Status', reason: 'Unauthorized' });
      t.like(await logged(stack, { event: 'k8s', requestId: headers['x-request-id'] }), { result: 'refused', status });
    });

  test.serial('the port without TLS answers no path to a token, and only tells where to go', async (t) => {
    const stack = stackOf();
    const caller = Caller.of(stack, user);
    const { token } = await caller.login();
    for (const path of ['/version', '/api/v1/pods', '/api/v1alpha1/whoami']) {
      const options = { headers: { authorization: `Bearer ${token}` } };
      const { status, body } = await caller.machine.send(`${stack.tka.url}${path}`, options);
      t.is(status, 403, body);
      t.regex(body, /over https alone/);
    }
    t.is((await caller.api('/api/v1/pods')).status, 403);
    t.is((await caller.api('/api/v1alpha1/whoami')).status, 200);
  });
}

function atRoot(entry: Entry): Entry {
  return { ...entry, url: new URL(entry.url).origin };
}
