/** The API server's 401: the session's token is not used again, so that the next request goes with another. */
import test from 'ava';
import { createFixture, serviceAccountToken, statusOf, turns, until } from './testing/fixture.ts';
import { ask } from './testing/asked.ts';

const refusing = {
  apiServer: { request: (_: unknown, res: { writeHead(status: number): { end(): void } }) => res.writeHead(401).end() },
};
const ofAlice = `alice: ${serviceAccountToken('alice')}`;
const application = '/k8s/api/v1/namespaces/a/pods/web/proxy/login';

for (const [title, path, expected] of [
  ['a 401 of the API server', '/k8s/api/v1/pods', [ofAlice]],
  ['a 401 of an application in a pod', application, []],
] as const) {
  const what = expected.length > 0 ? 'the token is given up' : 'the token is kept';

  test(`${title}, to a request that is read here: ${what}`, async (t) => {
    await using at = await createFixture(refusing);
    t.is(statusOf(await at.ask('alice', `${at.head('GET', path, 'alice')}Connection: close\r\n\r\n`)), 401);
    await until(() => at.served.length === 1);
    t.deepEqual(at.tokensRefused, expected);
  });

  test(`${title}, to an upgrade: ${what}`, async (t) => {
    await using at = await createFixture(refusing);
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    t.is(statusOf(await at.ask('alice', `${at.head('GET', path, 'alice')}${upgrade}`)), 401);
    await until(() => at.served.length === 1);
    t.deepEqual(at.tokensRefused, expected);
  });

  test(`${title}, to a request that the engine carries: ${what}`, async (t) => {
    await using at = await createFixture();
    const asked = await ask(at, { target: path });
    asked.end(401);
    await turns();
    t.deepEqual(at.tokensRefused, expected);
  });
}

test('a request that is cut, or answered otherwise, leaves the token as it is', async (t) => {
  await using at = await createFixture();
  const cut = await ask(at);
  at.proxy.cut('uid-of-alice', 'the session has ended');
  cut.end(401);
  const other = await ask(at, { as: 'bob', session: 'bob' });
  other.end(403);
  await turns();
  t.deepEqual(at.tokensRefused, []);
});
