import test from 'ava';
import { loginResponseSchema, paths } from '../contract.ts';
import { ApiError } from '../errors.ts';
import { alice, createFixture, rule } from '../../testing/http.ts';

const json = { 'Content-Type': 'application/json' };
const rules = [rule(), rule({ role: 'edit', priority: 1 })];

async function twiceLoggedIn() {
  let granted = rules;
  const fixture = await createFixture({ identity: () => Promise.resolve(alice(granted)) });
  for (const role of ['view', 'edit']) {
    await fixture.call('POST', paths.login, { headers: json, body: JSON.stringify({ role }) });
  }
  return { fixture, revokeGrant: () => (granted = []) };
}

test('a logout without a name ends all of the sessions of the caller, and no others', async (t) => {
  const { fixture } = await twiceLoggedIn();
  await using _ = fixture;
  const others = fixture.sessions
    .slice(0, 1)
    .map((one) => ({ ...one, subject: 'control.example|user:70', name: 'theirs' }));
  fixture.sessions.push(...others);
  const answer = await fixture.call('POST', paths.logout);
  t.is(answer.status, 200);
  t.like(loginResponseSchema.parse(answer.json), { role: 'edit', username: 'alice@example.com' });
  t.deepEqual(
    fixture.sessions.map(({ name }) => name),
    ['theirs'],
  );
});

test('a logout by name ends that session alone', async (t) => {
  const { fixture } = await twiceLoggedIn();
  await using _ = fixture;
  const [edit, view] = fixture.sessions.map(({ name }) => name);
  const answer = await fixture.call('POST', paths.logout, { headers: json, body: JSON.stringify({ session: edit }) });
  t.is(answer.status, 200);
  t.like(answer.json, { session: edit });
  t.deepEqual(
    fixture.sessions.map(({ name }) => name),
    [view],
  );
});

test("a logout of another subject's session is 200 and ends nothing", async (t) => {
  const { fixture } = await twiceLoggedIn();
  await using _ = fixture;
  for (const session of fixture.sessions.splice(0))
    fixture.sessions.push({ ...session, subject: 'control.example|user:70' });
  const name = fixture.sessions[0]?.name;
  const answer = await fixture.call('POST', paths.logout, { headers: json, body: JSON.stringify({ session: name }) });
  t.is(answer.status, 200);
  t.is(fixture.sessions.length, 2);
});

test('a logout without a session is 200 in the shape that clients decode', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('POST', paths.logout);
  t.is(answer.status, 200);
  t.deepEqual(answer.json, { username: 'alice@example.com', role: '', until: '' });
});

test('a subject whose grant has gone may still log out', async (t) => {
  const { fixture, revokeGrant } = await twiceLoggedIn();
  await using _ = fixture;
  revokeGrant();
  t.is((await fixture.call('POST', paths.logout)).status, 200);
  t.deepEqual(fixture.sessions, []);
});

test('a logout whose access will not go says so in time, and tries every session', async (t) => {
  const ended: string[] = [];
  const session = { username: 'a', role: 'view', until: '', ready: true };
  await using fixture = await createFixture({
    settings: { logoutTimeoutMs: 20 },
    deps: {
      sessions: {
        list: () => [
          { ...session, name: 'stuck' },
          { ...session, name: 'fine' },
        ],
        end: (name, _reason, signal) => {
          ended.push(name);
          if (name === 'fine') return Promise.resolve();
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
          });
        },
        signIn: () => Promise.reject(new Error('unused')),
        usable: () => Promise.reject(new Error('unused')),
        proxyToken: () => 'unused',
        token: () => Promise.reject(new Error('unused')),
      },
    },
  });
  const answer = await fixture.call('POST', paths.logout);
  t.is(answer.status, 503);
  t.like(answer.json, { code: 'unavailable' });
  t.deepEqual(ended, ['stuck', 'fine']);
});

test('a logout while the API server is away is 503', async (t) => {
  const { fixture } = await twiceLoggedIn();
  await using _ = fixture;
  const away = new ApiError(503, 'unavailable', 'the API server is away', { retryAfterSeconds: 1 });
  await using down = await createFixture({
    deps: {
      sessions: {
        list: () => fixture.sessions,
        end: () => Promise.reject(away),
        signIn: () => Promise.reject(away),
        usable: () => Promise.reject(away),
        proxyToken: () => 'none',
        token: () => Promise.reject(away),
      },
    },
  });
  const answer = await down.call('POST', paths.logout);
  t.is(answer.status, 503);
  t.like(answer.json, { message: 'the API server is away' });
});
