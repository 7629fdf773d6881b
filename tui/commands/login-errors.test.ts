/** How `tka login` fails: what it says, the remedy, the exit code, and that nothing is left behind. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { createCli } from '../testing/cli.ts';
import { answers, calls, filesUnder, prepare, readKubeconfigAt, refusal, session } from '../testing/command.ts';
import { sendJson, stubKubeconfig } from '../testing/stub-server.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { script, setup, remove } = await prepare();
test.after.always(remove);

test('a denied login is exit code 3, with the reason and the advice, and writes nothing', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: refusal(403, 'no_grant', 'the policy grants you nothing', ['ask an admin']),
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.deepEqual(ran, {
    code: 3,
    stdout: '',
    stderr:
      'error: the policy grants you nothing\n  ask an admin\n  `tka whoami` shows who you are there; `tka roles` which rules were dropped, and why.\n',
  });
  t.deepEqual(filesUnder(join(cli.home, '.kube')), []);
});

test('a server that is not there is exit code 4', async (t) => {
  const ran = await createCli(t, script).run(['login', '--server', 'http://127.0.0.1:1']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /refuses the connection\n {2}Check the port, and that tka runs there/);
});

for (const [server, env] of [
  ['http://tka', { ALL_PROXY: 'socks5h://127.0.0.1:1' }],
  ['https://tka', { HTTPS_PROXY: 'http://127.0.0.1:1' }],
  ['http://tka', { http_proxy: 'http://127.0.0.1:1' }],
] as const) {
  test(`a proxy that is not there (${JSON.stringify(env)}) is exit code 4, and is named`, async (t) => {
    const ran = await createCli(t, script).run(['login', '--server', server], env);
    t.is(ran.code, 4, ran.stderr);
    t.regex(ran.stderr, /^error: the proxy \w+:\/\/127\.0\.0\.1:1 refuses the connection\n {2}Check HTTP_PROXY/);
  });
}

test('a login that is not done in time is exit code 4', async (t) => {
  const { stub, cli } = await setup(t, { [calls.login]: () => {} });
  const ran = await cli.run(['login', '--server', stub.url, '--timeout', '1s']);
  t.is(ran.code, 4);
  t.regex(ran.stderr, /timed out after 1 s waiting for http/);
});

test('a session with a name that would leave its directory is refused before anything is written', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.login]: (_, response) =>
      sendJson(response, 200, { session: '../../evil', username: 'a', role: 'b', until: new Date().toISOString() }),
  });
  t.is((await cli.run(['login', '--server', stub.url])).code, 1);
  t.deepEqual(
    filesUnder(cli.home).filter((path) => !path.includes('/compiled/')),
    [],
  );
});

test('a server that wants certificates unchecked gets its way only with the flag', async (t) => {
  const { stub, cli } = await setup(t, {
    [calls.kubeconfig]: (_, response) => {
      const plain = stubKubeconfig('a.b.c');
      sendJson(response, 200, {
        ...plain,
        clusters: [{ name: 'prod', cluster: { server: 'https://prod', 'insecure-skip-tls-verify': true } }],
      });
    },
  });
  t.is((await cli.run(['login', '--server', stub.url])).code, 1);
  t.false(existsSync(cli.kubeconfig));
  t.is((await cli.run(['login', '--server', stub.url, '--insecure-skip-tls-verify'])).code, 0);
  t.true(readKubeconfigAt(cli.kubeconfig).clusters[0]?.cluster['insecure-skip-tls-verify']);
});

test('nothing of a hostile server reaches the kubeconfig or the terminal but what was checked', async (t) => {
  const evil = '\u001B]0;evil\u0007$(touch /tmp/pwned)';
  const { stub, cli } = await setup(t, {
    [calls.login]: (_, response) =>
      sendJson(response, 200, {
        session,
        username: `alice${evil}`,
        role: `view${evil}`,
        until: new Date(Date.now() + 3_600_000).toISOString(),
        namespaces: [`a${evil}`],
      }),
    [calls.wellKnown]: answers(200, { cluster: `prod${evil}`, labels: {}, version: evil, modes: [evil] }),
    [calls.kubeconfig]: (_, response) => {
      const plain = stubKubeconfig('a.b.c') as { clusters: { cluster: object }[] };
      sendJson(response, 200, {
        ...plain,
        clusters: [
          {
            name: `prod${evil}`,
            cluster: { ...plain.clusters[0]?.cluster, 'proxy-url': 'http://evil', 'certificate-authority': '/evil' },
          },
        ],
        users: [
          {
            name: evil,
            user: { token: 'a.b.c', tokenFile: '/evil', exec: { command: 'evil', args: [], apiVersion: 'v1' } },
          },
        ],
        contexts: [{ name: evil, context: { cluster: `prod${evil}`, user: evil, namespace: evil } }],
        'current-context': evil,
      });
    },
  });
  const ran = await cli.run(['login', '--server', stub.url]);
  t.is(ran.code, 0, ran.stderr);
  t.notRegex((ran.stdout + ran.stderr).replaceAll('\n', ''), /\p{Cc}/u);
  const written = readFileSync(cli.kubeconfig, 'utf8');
  t.is(ran.stdout, 'tka-prod-0-evil-touch-tmp-pwned-view-touch-tmp-pwned\n');
  t.notRegex(written.replaceAll(ran.stdout.trim(), ''), /evil|pwned|\$|[^\P{Cc}\n]/u);
});
