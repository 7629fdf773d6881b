import test from 'ava';
import { RefusedError } from '../../errors.ts';
import { aliceLoggedIn } from '../../testing/login.ts';
import { formatTook, formatUntil, reasonOf, summaryOf, visibleStages } from './words.ts';

test('times are as long as they have to be', (t) => {
  const cases: readonly (readonly [number, string])[] = [
    [-5, '0 ms'],
    [0, '0 ms'],
    [340, '340 ms'],
    [999.6, '1.0 s'],
    [1249, '1.2 s'],
    [59_949, '59.9 s'],
    [59_950, '1m00s'],
    [65_000, '1m05s'],
    [600_000, '10m00s'],
  ];
  for (const [ms, text] of cases) t.is(formatTook(ms), text);
});

test('the end is a time today, and a day and a time on any other', (t) => {
  const at = (day: number, hour: number): Date => new Date(2026, 2, day, hour, 5);
  t.is(formatUntil(at(1, 17), at(1, 9)), '17:05');
  t.is(formatUntil(at(2, 1), at(1, 17)), '2026-03-02 01:05');
});

test('the summary says how to use what there is now', (t) => {
  const now = new Date('2026-03-01T09:42:00Z');
  const rows = new Map(summaryOf(aliceLoggedIn, now));
  t.is(rows.get('who'), 'alice@example.com');
  t.is(rows.get('role'), 'view in dev, test');
  t.is(rows.get('cluster'), 'prod (direct, https://10.0.0.1:6443)');
  t.is(rows.get('context'), 'tka-prod in /home/alice/.kube/config');
  t.regex(rows.get('until') ?? '', /^(\d{4}-\d\d-\d\d )?\d\d:\d\d, for 8h00m$/);
  t.is(rows.get('next'), 'kubectl get pods');
  const skewed = summaryOf({ ...aliceLoggedIn, skewMs: 3_600_000 }, now);
  t.regex(new Map(skewed).get('until') ?? '', /for 7h00m$/);
  t.is(
    new Map(summaryOf({ ...aliceLoggedIn, current: false }, now)).get('next'),
    'kubectl --context tka-prod get pods',
  );
});

test('stages that are passed over are left out, and at the end those that never came', (t) => {
  const stages = [
    { stage: 'server', state: 'done' },
    { stage: 'identity', state: 'waiting' },
    { stage: 'sign-in', state: 'running' },
    { stage: 'kubeconfig', state: 'waiting' },
  ] as const;
  t.deepEqual(
    visibleStages(stages, false).map(({ stage }) => stage),
    ['server', 'sign-in', 'kubeconfig'],
  );
  t.deepEqual(
    visibleStages(stages, true).map(({ stage }) => stage),
    ['server', 'sign-in'],
  );
});

test('a reason is made printable, and a fault of ours has none', (t) => {
  const refused = new RefusedError(403, 'no_grant', 'no\u001B[2J grant', ['ask\nyour admin']);
  t.deepEqual(reasonOf(refused), { message: 'no grant', advice: ['ask your admin'] });
  t.is(reasonOf(new TypeError('x is not a function')), undefined);
});
