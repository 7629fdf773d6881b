import test from 'ava';
import { loginResponseSchema, paths } from '../contract.ts';
import { ApiError } from '../errors.ts';
import { alice, createFixture, rule } from '../../testing/http.ts';
import type { FixtureOptions } from '../../testing/http.ts';
import { preferredWait } from './login.ts';

const grantedBy = (...rules: string[]): FixtureOptions => ({ identity: () => Promise.resolve(alice(rules)) });
const edit = rule({ role: 'edit', period: '2h', priority: 5, namespaces: ['dev'] });

const logins: readonly [
  title: string,
  rules: readonly string[],
  wish: Readonly<Record<string, string>> | undefined,
  status: number,
  expected: Readonly<Record<string, unknown>>,
  says?: RegExp,
][] = [
  [
    'no wish gets the best rule',
    [rule(), edit],
    undefined,
    202,
    { role: 'edit', namespaces: ['dev'], until: '2026-01-02T05:04:35.000Z' },
  ],
  ['a wished role', [rule(), edit], { role: 'view' }, 202, { role: 'view' }],
  ['a shorter period', [rule()], { period: '10m' }, 202, { until: '2026-01-02T03:14:35.000Z' }],
  ['a longer period', [rule()], { period: '61m' }, 422, { code: 'unprocessable' }, /1h at most/],
  ['a period under 10 minutes', [rule()], { period: '9m59s' }, 422, { code: 'unprocessable' }, /10 minutes/],
  ['a period of nothing', [rule()], { period: '0s' }, 422, { code: 'unprocessable' }, /10 minutes/],
  ['a role that is not granted', [rule(), edit], { role: 'admin' }, 403, { code: 'role_not_granted' }, /edit, view/],
  [
    'no grant',
    [],
    undefined,
    403,
    { code: 'no_grant' },
    /your tailnet admin .* the capability specht-labs\.de\/cap\/tka/,
  ],
  [
    'no grant but a dropped rule',
    [rule({ role: '' })],
    undefined,
    403,
    { code: 'no_grant' },
    /a rule was dropped: role/,
  ],
  ['a rule under 10 minutes alone', [rule({ period: '5m' })], undefined, 422, { code: 'unprocessable' }, /10 minutes/],
  [
    'two best rules',
    [rule(), rule({ role: 'edit' })],
    undefined,
    400,
    { code: 'ambiguous_grant' },
    /it could be view .*it could be edit/,
  ],
  ['two best rules and a wish between them', [rule(), rule({ role: 'edit' })], { role: 'edit' }, 202, { role: 'edit' }],
  [
    'two best rules of the wished role',
    [rule(), rule({ period: '2h' })],
    { role: 'view' },
    400,
    { code: 'ambiguous_grant' },
  ],
];

for (const [title, rules, wish, status, expected, says] of logins) {
  test(`a login with ${title} is answered ${status}`, async (t) => {
    await using fixture = await createFixture(grantedBy(...rules));
    const body =
      wish === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(wish) };
    const answer = await fixture.call('POST', paths.login, body);
    t.is(answer.status, status, answer.text);
    t.like(answer.json, expected);
    if (says !== undefined) t.regex(answer.text, says);
    t.is(fixture.sessions.length, status === 202 ? 1 : 0);
    if (status === 202) t.notThrows(() => loginResponseSchema.parse(answer.json));
    else t.notRegex(answer.text, /"cause"/);
    t.deepEqual(fixture.logins, [status === 202 ? 'accepted ok' : `refused ${String(expected['code'])}`]);
  });
}

test('a plain login is answered at once, though nothing is usable yet', async (t) => {
  await using fixture = await createFixture({ isInstant: false });
  const answer = await fixture.call('POST', paths.login);
  t.is(answer.status, 202);
  t.is(answer.headers['retry-after'], '1');
  t.is(answer.headers['preference-applied'], undefined);
});

test('a login that waits is answered 200 once the credential works', async (t) => {
  await using fixture = await createFixture();
  const answer = await fixture.call('POST', paths.login, { headers: { Prefer: 'wait=5' } });
  t.is(answer.status, 200);
  t.is(answer.headers['preference-applied'], 'wait=5');
});

test('a login names the rules that were dropped, at once, when it waited, and when it is asked for', async (t) => {
  await using at = await createFixture(grantedBy(rule(), rule({ role: 'admin', perod: '1h' })));
  const told = [{ rule: rule({ role: 'admin', perod: '1h' }), reason: 'unknown field "perod"' }];
  const asked = [
    await at.call('POST', paths.login),
    await at.call('POST', paths.login, { headers: { prefer: 'wait=1' } }),
    await at.call('GET', paths.login),
  ];
  for (const answer of asked) t.deepEqual(loginResponseSchema.parse(answer.json).dropped, told);
  const refused = await at.call('POST', paths.login, {
    headers: { 'Content-Type': 'application/json' },
    body: '{"role":"admin"}',
  });
  t.regex(JSON.stringify(refused.json), /a rule was dropped: unknown field/);
  t.false('dropped' in loginResponseSchema.parse((await at.call('POST', paths.logout)).json));
});

test('a login whose wait ends first is answered 202', async (t) => {
  await using fixture = await createFixture({ isInstant: false });
  const answer = await fixture.call('POST', paths.login, { headers: { Prefer: 'wait=1' } });
  t.is(answer.status, 202);
  t.is(answer.headers['retry-after'], '1');
  t.is(answer.headers['preference-applied'], 'wait=1');
});

test('a waiting login is answered why the session cannot become usable', async (t) => {
  await using fixture = await createFixture({
    isInstant: false,
    deps: {
      sessions: {
        signIn: () => Promise.resolve({ name: 's', username: 'a', role: 'view', until: '', ready: false }),
        list: () => [],
        usable: () => Promise.reject(new ApiError(422, 'unprocessable', 'the ClusterRole view does not exist')),
        end: () => Promise.resolve(),
        proxyToken: () => 'none',
        token: () => Promise.reject(new Error('none')),
      },
    },
  });
  const answer = await fixture.call('POST', paths.login, { headers: { Prefer: 'wait=5' } });
  t.is(answer.status, 422);
  t.like(answer.json, { message: 'the ClusterRole view does not exist' });
});

const preferences: readonly [header: string, seconds: number][] = [
  ['', 0],
  ['wait=10', 10],
  ['WAIT=10', 10],
  ['respond-async, wait=10', 10],
  ['wait=10; foo=bar, respond-async', 10],
  ['wait="10"', 10],
  ['wait = 10', 10],
  ['wait=61', 60],
  ['wait=999999999', 60],
  ['wait=0', 0],
  ['wait=-1', 0],
  ['wait=1.5', 0],
  ['wait=ten', 0],
  ['await=10', 0],
];

for (const [header, seconds] of preferences) {
  test(`Prefer: ${header || 'nothing'} waits ${seconds} s`, (t) => {
    t.is(preferredWait(header), seconds);
  });
}

test('50 logins at once by one user pass and are one session', async (t) => {
  await using fixture = await createFixture();
  const answers = await Promise.all(Array.from({ length: 50 }, () => fixture.call('POST', paths.login)));
  t.true(answers.every(({ status }) => status === 202));
  t.is(fixture.sessions.length, 1);
});

test('a flood of logins is answered 429 with the time to wait, and stores nothing more', async (t) => {
  await using fixture = await createFixture({ loginsPerMinute: 3 });
  const statuses: number[] = [];
  for (let i = 0; i < 5; i += 1) statuses.push((await fixture.call('POST', paths.login)).status);
  t.deepEqual(statuses, [202, 202, 202, 429, 429]);
  const answer = await fixture.call('POST', paths.login);
  t.like(answer.json, { code: 'rate_limited' });
  t.is(answer.headers['retry-after'], '20');
});

test('a held login is answered 503 with the reason, stores nothing and does not count against the limit', async (t) => {
  let taken = 0;
  const limiter = { take: () => void (taken += 1) };
  const hold = { code: 'control_unreachable', message: 'no contact for 901 s', advice: 'retry later' } as const;
  await using fixture = await createFixture({ deps: { limiter, loginHold: () => hold } });
  const answer = await fixture.call('POST', paths.login);
  t.is(answer.status, 503);
  t.like(answer.json, { code: 'control_unreachable', message: 'no contact for 901 s' });
  t.regex(answer.text, /retry later/);
  t.is(answer.headers['retry-after'], '30');
  t.deepEqual([fixture.sessions.length, taken], [0, 0]);
  t.deepEqual(fixture.logins, ['failed control_unreachable']);
  await using ungranted = await createFixture({ ...grantedBy(), deps: { loginHold: () => hold } });
  t.like((await ungranted.call('POST', paths.login)).json, { code: 'no_grant' });
});

test('callers without a grant leave everybody the logins there are', async (t) => {
  let taken = 0;
  const limiter = { take: () => void (taken += 1) };
  await using ungranted = await createFixture({ ...grantedBy(), deps: { limiter } });
  t.is((await ungranted.call('POST', paths.login)).status, 403);
  t.is(taken, 0);
  await using friend = await createFixture({ deps: { limiter } });
  t.is((await friend.call('POST', paths.login)).status, 202);
  t.is(taken, 1);
});

test('an unexpected error is answered 500 without its details, which are in the log', async (t) => {
  await using fixture = await createFixture({
    deps: {
      limiter: {
        take: () => {
          throw new TypeError('cannot read /var/secret of undefined');
        },
      },
    },
  });
  const answer = await fixture.call('POST', paths.login);
  t.is(answer.status, 500);
  t.like(answer.json, { code: 'internal' });
  t.notRegex(answer.text, /secret|TypeError/);
  t.regex(answer.text, /request-1/);
  t.true(fixture.log.some((line) => line['requestId'] === 'request-1' && JSON.stringify(line).includes('/var/secret')));
  t.deepEqual(fixture.logins, ['failed internal']);
});
