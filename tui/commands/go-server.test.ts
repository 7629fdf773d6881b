/** Against a server of the Go tka: every command says what it is and what to do, and no session stays open. */
import anyTest, { type ExecutionContext } from 'ava';
import { calls, inHours, prepare } from '../testing/command.ts';
import { type Handler, sendJson } from '../testing/stub-server.ts';

const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

const notFound: Handler = (_, response) =>
  void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');

/** As gin routes, and as its handlers answer. */
async function goServer(t: ExecutionContext, isSlow = false) {
  const open = new Set<string>();
  const { stub, cli } = await setup(t, {
    [calls.whoami]: notFound,
    [calls.sessions]: notFound,
    [calls.wellKnown]: (request, response) => {
      setTimeout(() => notFound(request, response), isSlow ? 1500 : 0);
    },
    'GET /api/v1alpha1/cluster-info': (_, response) =>
      sendJson(response, 200, { server_url: 'https://k8s', insecure_skip_tls_verify: false, ca_data: '', labels: {} }),
    [calls.login]: (_, response) => {
      open.add('alice');
      sendJson(response, 202, { username: 'alice', role: 'view', until: inHours(1) });
    },
    'GET /api/v1alpha1/login': (_, response) =>
      sendJson(response, 200, { username: 'alice', role: 'view', until: inHours(1) }),
    [calls.logout]: (_, response) => {
      open.clear();
      sendJson(response, 200, { username: 'alice', role: 'view', until: inHours(1) });
    },
    [calls.kubeconfig]: (_, response) => sendJson(response, 401, { message: 'User not found' }),
  });
  return { stub, cli, open };
}

for (const command of ['login', 'status', 'whoami', 'roles', 'kubeconfig', 'renew', 'doctor', 'shell'] as const) {
  test(`tka ${command}: says that it is an older tka and what to do, and opens no session`, async (t) => {
    const { stub, cli, open } = await goServer(t);
    const { code, stdout, stderr } = await cli.run([command, '--server', stub.url]);
    // doctor also finds that this machine has no tailscaled.
    t.is(code, command === 'doctor' ? 4 : 1, stderr);
    t.regex(
      (stdout + stderr).replaceAll(/\s+/g, ' '),
      /runs an older tka, such as the Go server.*Use the command that came with it/,
    );
    t.false(stub.calls.includes(calls.login));
    t.is(open.size, 0);
  });
}

test('where the server says too late that it is an older one, the session that it opened is ended', async (t) => {
  const { stub, cli, open } = await goServer(t, true);
  const { code, stderr } = await cli.run(['login', '--server', stub.url]);
  t.is(code, 1, stderr);
  t.regex(stderr, /older/);
  t.true(stub.calls.includes(calls.login));
  t.is(open.size, 0);
});

for (const [status, expected] of [
  [200, /runs an older tka/],
  [401, /runs an older tka/],
  [404, /is not a tka server/],
] as const) {
  test(`a server without this API that answers cluster-info with ${status} ${String(expected).slice(1, -1)}`, async (t) => {
    const { stub, cli } = await goServer(t);
    const info = { server_url: 'https://k8s', insecure_skip_tls_verify: false, ca_data: '', labels: {} };
    stub.answer('GET /api/v1alpha1/cluster-info', (_, response) =>
      sendJson(response, status, status === 200 ? info : { message: 'User not found' }),
    );
    const { code, stderr } = await cli.run(['whoami', '--server', stub.url]);
    t.is(code, status === 404 ? 4 : 1, stderr);
    t.regex(stderr, expected);
  });
}
