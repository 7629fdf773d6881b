import test from 'ava';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { testSignin } from '../../reconciler/testing/signin.ts';
import { manualClock } from '../../reconciler/testing/manual-clock.ts';
import { type BindableDeps, reasonInLists, startBindable } from './bindable.ts';
import type { Access } from '../kubernetes/access.ts';

const everywhere = testSignin();
const inPlaces = (namespaces: readonly string[], name = 'bob-0123456789') =>
  testSignin({ metadata: { name, uid: name }, spec: { namespaces } });

interface At {
  readonly roles?: BindableDeps['roles'];
  /** Undefined: not listed yet. */
  readonly sessions?: () => readonly TkaSignin[] | undefined;
}

function start({ sessions = () => [everywhere, inPlaces(['a', 'b'])], roles }: At = {}) {
  const ended: string[] = [];
  const asked: string[] = [];
  const lines: object[] = [];
  const clock = manualClock();
  let may: (question: Access) => boolean | Error = () => true;
  const running = startBindable({
    reconciler: {
      list: () => sessions() ?? [],
      get state() {
        return { synced: sessions() !== undefined };
      },
      end(name, reason) {
        ended.push(`${name}: ${reason}`);
        return Promise.resolve();
      },
    },
    roles: roles ?? { clusterWide: ['view'], namespaced: ['view'] },
    ownNamespaces: ['tka-system'],
    cluster: {
      may(question) {
        asked.push(`${question.name} ${question.namespace ?? '*'}`);
        const answer = may(question);
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    log: { info: (line: object) => lines.push(line), warn: () => undefined },
    clock,
  });
  return { ended, asked, lines, clock, running, answer: (next: typeof may) => (may = next) };
}

const lists: readonly (readonly [
  string,
  readonly string[] | undefined,
  readonly string[],
  readonly string[],
  RegExp | undefined,
])[] = [
  ['a listed role in the whole cluster', undefined, ['view'], [], undefined],
  ['a listed role in namespaces', ['a'], [], ['view'], undefined],
  ['a role taken from roles.clusterWide', undefined, ['edit'], ['view'], /not in roles\.clusterWide/],
  ['a role taken from roles.namespaced', ['a'], ['view'], [], /not in roles\.namespaced/],
  ["one of tka's own namespaces", ['a', 'tka-system'], ['view'], ['view'], /own namespace tka-system/],
];
for (const [title, namespaces, clusterWide, namespaced, reason] of lists) {
  test(`${title}: the session ${reason === undefined ? 'lasts' : 'ends'}`, (t) => {
    const signin = namespaces === undefined ? everywhere : inPlaces(namespaces);
    const found = reasonInLists({ roles: { clusterWide, namespaced }, ownNamespaces: ['tka-system'] }, signin);
    if (reason === undefined) t.is(found, undefined);
    else t.regex(found ?? '', reason);
  });
}

test('sessions of a role that is not listed end at the first list, and are audited', async (t) => {
  let sessions: readonly TkaSignin[] | undefined;
  const at = start({ sessions: () => sessions, roles: { clusterWide: [], namespaced: ['view'] } });
  await at.clock.advance(1000);
  t.deepEqual(at.ended, []);
  sessions = [everywhere, inPlaces(['a']), testSignin({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })];
  await at.clock.advance(200);
  t.deepEqual(at.ended, [
    'alice-0123456789: tka no longer binds the role view in the whole cluster: it is not in roles.clusterWide',
  ]);
  t.like(at.lines[0], { audit: true, event: 'revoked', session: 'alice-0123456789', username: 'alice@example.com' });
  await at.running.stop();
});

test('a right that two looks in a row do not find is lost, where it is needed', async (t) => {
  const at = start();
  await at.clock.advance(5000);
  t.deepEqual(new Set(at.asked), new Set(['view *']));
  at.answer(({ namespace }) => namespace === 'a');
  await at.clock.advance(5000);
  t.deepEqual(at.ended, []);
  await at.clock.advance(5000);
  t.deepEqual(at.ended, [
    'alice-0123456789: tka may not bind the role view in the whole cluster any more',
    'bob-0123456789: tka may not bind the role view in namespace b any more',
  ]);
  await at.running.stop();
});

test('an API server that says no once, or does not answer in between, ends nothing', async (t) => {
  const at = start();
  await at.clock.advance(0);
  at.answer(() => false);
  await at.clock.advance(5000);
  at.answer(() => new Error('away'));
  await at.clock.advance(5000);
  at.answer(() => false);
  await at.clock.advance(5000);
  at.answer(() => true);
  await at.clock.advance(10_000);
  t.deepEqual(at.ended, []);
  await at.running.stop();
});
