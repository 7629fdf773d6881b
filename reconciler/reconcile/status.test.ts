import test from 'ava';
import { accountName } from '../../crd/tkasignin.ts';
import { statusAfter } from './status.ts';
import { testSignin } from '../testing/signin.ts';

const now = Date.parse('2026-01-01T00:00:30Z');
const fresh = testSignin({ status: undefined });

test('a provisioned session is Ready, and its status repeats what was applied', (t) => {
  const status = statusAfter(fresh, { kind: 'provisioned' }, now);
  t.like(status, { observedGeneration: 1, serviceAccountName: accountName(fresh), expiresAt: fresh.spec.expiresAt });
  t.like(status?.conditions?.[0], { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:30Z' });
});

test('an unchanged status is not written again', (t) => {
  for (const outcome of [
    { kind: 'provisioned' },
    { kind: 'failed', reason: 'Forbidden', message: 'no' },
    { kind: 'stuck', message: 'held' },
  ] as const) {
    const status = statusAfter(fresh, outcome, now);
    t.not(status, undefined);
    t.is(statusAfter(testSignin({ status }), outcome, now + 60_000), undefined, outcome.kind);
  }
});

test('a moved end is applied: one write, and Ready since before', (t) => {
  const status = statusAfter(fresh, { kind: 'provisioned' }, now);
  const moved = testSignin({
    status,
    metadata: { generation: 2 },
    spec: { expiresAt: '2026-01-01T02:00:00Z' },
  });
  const next = statusAfter(moved, { kind: 'provisioned' }, now + 60_000);
  t.like(next, { observedGeneration: 2, expiresAt: '2026-01-01T02:00:00Z' });
  t.is(next?.conditions?.[0]?.lastTransitionTime, '2026-01-01T00:00:30Z');
});

test('a failure is a condition with its reason, and a changed message is written', (t) => {
  const status = statusAfter(fresh, { kind: 'failed', reason: 'RoleNotFound', message: 'no role x' }, now);
  t.like(status?.conditions?.[0], { type: 'Ready', status: 'False', reason: 'RoleNotFound', message: 'no role x' });
  t.not(
    statusAfter(testSignin({ status }), { kind: 'failed', reason: 'RoleNotFound', message: 'other' }, now),
    undefined,
  );
});

test('a session that cannot be cleaned up says so beside being no longer ready', (t) => {
  const status = statusAfter(testSignin(), { kind: 'stuck', message: 'held by x' }, now);
  t.deepEqual(
    status?.conditions?.map(({ type, status: is }) => `${type}=${is}`),
    ['Ready=False', 'CleanupStuck=True'],
  );
});
