import test from 'ava';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { SigninCache } from './cache.ts';
import { settled } from '../testing/manual-clock.ts';
import { testSignin } from '../testing/signin.ts';

function start() {
  const events: string[] = [];
  const cache = new SigninCache();
  cache.subscribe({
    onChange: (signin, before) => events.push(`${before === undefined ? 'new' : 'changed'} ${idOf(signin)}`),
    onGone: (signin, how) => events.push(`${how} ${idOf(signin)}`),
  });
  return { cache, events };
}

function idOf({ metadata }: TkaSignin): string {
  return `${metadata.uid}@${metadata.resourceVersion}`;
}

function at(resourceVersion: number, uid = 'a', name = 'alice'): TkaSignin {
  return testSignin({ metadata: { name, uid, resourceVersion: String(resourceVersion) } });
}

test("the watch's echo of our own write changes nothing", (t) => {
  const { cache, events } = start();
  cache.written(at(10));
  cache.watched(at(10));
  t.deepEqual(events, ['new a@10']);
});

test('an event older than our own write does not set the object back', (t) => {
  const { cache } = start();
  cache.written(at(10));
  cache.written(at(12));
  cache.watched(at(10));
  t.is(cache.get('alice')?.metadata.resourceVersion, '12');
});

test("a write's late answer does not bring back what the watch has deleted since", (t) => {
  const { cache } = start();
  cache.watched(at(10));
  cache.deleted(at(11));
  cache.written(at(10));
  t.is(cache.get('alice'), undefined);
});

test("a write's answer that is ahead of the watch counts", (t) => {
  const { cache } = start();
  cache.watched(at(10, 'x', 'other'));
  cache.written(at(11));
  t.is(cache.get('alice')?.metadata.uid, 'a');
});

test('events under way do not bring back what we released', (t) => {
  const { cache, events } = start();
  cache.written(at(10));
  cache.released(at(10));
  cache.watched(at(11));
  t.is(cache.get('alice'), undefined);
  cache.deleted(at(12));
  t.deepEqual(events, ['new a@10', 'released a@10']);
});

test('a later object of the same name replaces the first, which is reported gone', (t) => {
  const { cache, events } = start();
  cache.watched(at(10, 'a'));
  cache.watched(at(20, 'b'));
  t.deepEqual(events, ['new a@10', 'vanished a@10', 'new b@20']);
});

test('a delete of the first does not remove its namesake', (t) => {
  const { cache } = start();
  cache.written(at(20, 'b'));
  cache.deleted(at(15, 'a'));
  t.is(cache.get('alice')?.metadata.uid, 'b');
});

test('a list removes objects that it lacks, except those newer than the list', (t) => {
  const { cache, events } = start();
  cache.watched(at(10, 'old', 'old'));
  cache.written(at(30, 'new', 'new'));
  cache.replace([at(15, 'b', 'bob')], '20');
  t.deepEqual(
    cache.list().map(({ metadata }) => metadata.name),
    ['new', 'bob'],
  );
  t.true(events.includes('vanished old@10'));
});

test('a list does not bring back what we released while it was read', (t) => {
  const { cache } = start();
  cache.written(at(10));
  cache.released(at(10));
  cache.replace([at(10)], '12');
  t.is(cache.get('alice'), undefined);
  // And once a list is without it, its UID is forgotten: the memory does not grow.
  cache.replace([], '13');
  cache.replace([at(14)], '14');
  t.is(cache.get('alice')?.metadata.resourceVersion, '14');
});

test('versions are compared as numbers', (t) => {
  const { cache } = start();
  cache.watched(at(9));
  cache.watched(at(10));
  t.is(cache.get('alice')?.metadata.resourceVersion, '10');
});

test('until resolves with the first version that satisfies it, the current one included', async (t) => {
  const { cache } = start();
  const { signal } = new AbortController();
  const seen = cache.until(
    'alice',
    (signin) => (signin?.metadata.resourceVersion === '12' ? signin : undefined),
    signal,
  );
  cache.watched(at(10));
  await settled();
  cache.watched(at(12));
  t.is((await seen).metadata.resourceVersion, '12');
  t.is(await cache.until('alice', (signin) => signin?.metadata.uid, signal), 'a');
});

test('until rejects with the reason of its signal, and with what its check throws', async (t) => {
  const { cache } = start();
  const controller = new AbortController();
  const waiting = cache.until('alice', () => undefined, controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  const { signal } = new AbortController();
  const check = (): undefined => {
    throw new Error('never');
  };
  await t.throwsAsync(cache.until('alice', check, signal), { message: 'never' });
});

test('an object that the watch deletes while we take our last hold off it was released, not lost', async (t) => {
  const { cache, events } = start();
  cache.watched(at(10));
  await cache.whileReleasing(at(10), async () => {
    // The watch is quicker than the answer to our patch.
    cache.deleted(at(11));
    await settled();
    cache.released(at(11));
  });
  t.deepEqual(events, ['new a@10', 'released a@10']);
});

test('an object that the watch deletes after our release failed has vanished', async (t) => {
  const { cache, events } = start();
  cache.watched(at(10));
  await t.throwsAsync(
    cache.whileReleasing(at(10), () => Promise.reject(new Error('conflict'))),
    { message: 'conflict' },
  );
  cache.deleted(at(11));
  t.deepEqual(events, ['new a@10', 'vanished a@10']);
});
