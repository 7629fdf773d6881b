import test from 'ava';
import { paths } from './contract.ts';
import { alice, createFixture, rule } from '../testing/http.ts';
import type { Fixture } from '../testing/http.ts';

const audits = (fixture: Fixture) => fixture.log.filter((line) => line['audit'] === true);

test('a login leaves one line that names subject, node, rule, role, session and result', async (t) => {
  const rules = [rule({ namespaces: ['dev'], priority: 3 })];
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice(rules)) });
  await fixture.call('POST', paths.login);
  const lines = audits(fixture);
  t.is(lines.length, 1);
  t.like(lines[0], {
    event: 'login',
    subject: 'control.example|user:7',
    username: 'alice@example.com',
    node: 'nAlice',
    rule: { period: '1h', priority: 3 },
    role: 'view',
    namespaces: ['dev'],
    session: fixture.sessions[0]?.name,
    result: 'allowed',
    requestId: 'request-1',
  });
});

test('a refused login leaves one line with the code', async (t) => {
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice([])) });
  await fixture.call('POST', paths.login);
  t.is(audits(fixture).length, 1);
  t.like(audits(fixture)[0], {
    event: 'login',
    subject: 'control.example|user:7',
    result: 'refused',
    code: 'no_grant',
  });
});

test('a kubeconfig and a logout leave a line each', async (t) => {
  await using fixture = await createFixture();
  await fixture.call('POST', paths.login);
  await fixture.call('GET', paths.kubeconfig);
  await fixture.call('POST', paths.logout);
  t.deepEqual(
    audits(fixture).map(({ event, result }) => ({ event, result })),
    [
      { event: 'login', result: 'allowed' },
      { event: 'kubeconfig', result: 'allowed' },
      { event: 'logout', result: 'allowed' },
    ],
  );
});

test('a refused node leaves a line on any call', async (t) => {
  await using fixture = await createFixture({ identity: () => Promise.resolve(alice([], { refusal: 'router' })) });
  await fixture.call('GET', paths.whoami);
  t.like(audits(fixture)[0], { event: 'request', result: 'refused', code: 'refused_node' });
});

test('calls that only look leave none', async (t) => {
  await using fixture = await createFixture();
  await fixture.call('GET', paths.whoami);
  await fixture.call('GET', paths.login);
  await fixture.call('GET', paths.kubeconfig);
  t.deepEqual(audits(fixture), []);
});

test('no token is ever in the log', async (t) => {
  await using fixture = await createFixture();
  await fixture.call('POST', paths.login);
  for (const headers of [{}, { Accept: '*/*' }, { Accept: 'application/json' }]) {
    t.regex((await fixture.call('GET', paths.kubeconfig, { headers })).text, /secret-token/);
  }
  t.notRegex(JSON.stringify(fixture.log), /secret-token/);
});

test('a name with control characters and line breaks stays one line', async (t) => {
  const odd = alice([rule()], { user: { id: '7', loginName: 'alice\n{"audit":true}\u001b[2J' } });
  await using fixture = await createFixture({ identity: () => Promise.resolve(odd) });
  await fixture.call('POST', paths.login);
  t.is(audits(fixture).length, 1);
  t.is(audits(fixture)[0]?.['username'], 'alice{"audit":true}[2J');
});
