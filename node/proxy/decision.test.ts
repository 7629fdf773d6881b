import { randomBytes } from 'node:crypto';
import test from 'ava';
import { decide, type ProxyCaller, type ProxySession } from './decision.ts';
import { createSessionKeys } from './session-key.ts';

const serverKey = randomBytes(32);
const keys = createSessionKeys(() => serverKey);
const now = 1_000_000;
const session: ProxySession = {
  name: 'alice-0123456789',
  uid: 'u1',
  subject: 'control|user:1',
  role: 'view',
  endsAt: now + 1000,
  isEnding: false,
};
const alice: ProxyCaller = { subject: 'control|user:1', username: 'alice', node: 'n1', covers: () => true };
const token = keys.token(session);
const deps = (found: ProxySession | undefined = session) => ({
  keys,
  session: (name: string) => (name === session.name ? found : undefined),
  now: () => now,
});

test('a caller with the token of a session of its own, whose grant covers it, gets it', (t) => {
  t.is(decide(deps(), alice, token), session);
});

test('role and scope are what the grant is asked for', (t) => {
  const asked: unknown[] = [];
  const scoped = { ...session, namespaces: ['dev'] };
  decide(deps(scoped), { ...alice, covers: (...args) => asked.push(args) > 0 }, token);
  t.deepEqual(asked, [['view', ['dev']]]);
});

const refusals: readonly [title: string, decide: () => unknown][] = [
  ['no token', () => decide(deps(), alice, undefined)],
  ['a token of no session', () => decide(deps(), alice, keys.token({ name: 'nobody', uid: 'u1' }))],
  ['a wrong key', () => decide(deps(), alice, `tka_${session.name}_${'0'.repeat(32)}`)],
  ['a ServiceAccount token', () => decide(deps(), alice, 'eyJhbGciOiJSUzI1NiJ9.e30.x')],
  ["another subject's session", () => decide(deps(), { ...alice, subject: 'control|user:2' }, token)],
  ['a node without the grant', () => decide(deps(), { ...alice, covers: () => false }, token)],
  ['a session that is over', () => decide(deps({ ...session, endsAt: now }), alice, token)],
  ['a session that is being ended', () => decide(deps({ ...session, isEnding: true }), alice, token)],
  ['a namesake made later', () => decide(deps({ ...session, uid: 'u2' }), alice, token)],
];
for (const [title, attempt] of refusals) {
  test(`${title} is answered like any other refusal`, (t) => {
    t.like(t.throws(attempt), { status: 401, message: 'your tka session has ended or is not yours; run: tka login' });
  });
}
