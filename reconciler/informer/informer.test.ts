/** The informer against an API server that does what a script says, so that no error is left to chance. */
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { SigninCache } from './cache.ts';
import type { Cluster } from '../cluster.ts';
import { ApiUnavailableError, GoneError, NotFoundError } from '../errors.ts';
import { Informer } from './informer.ts';
import { type ManualClock, manualClock } from '../testing/manual-clock.ts';
import { testSignin } from '../testing/signin.ts';

/** An API server with one list of objects, whose watches a test feeds by hand. */
function scripted() {
  const state = {
    items: [] as unknown[],
    resourceVersion: 10,
    lists: 0,
    listErrors: [] as Error[],
    watchErrors: [] as Error[],
    /** Resource version each watch started from. */
    watchedFrom: [] as string[],
    pageSize: Infinity,
  };
  const feeds: { push: (event: unknown) => void; end: (error?: Error) => void }[] = [];
  const cluster = {
    custom: {
      listNamespacedCustomObject: ({ _continue = '0' }: { _continue?: string }) => {
        state.lists += 1;
        const error = state.listErrors.shift();
        if (error !== undefined) return Promise.reject(error);
        const from = Number(_continue);
        const items = state.items.slice(from, from + state.pageSize);
        const more = from + items.length < state.items.length ? { continue: String(from + items.length) } : {};
        return Promise.resolve({ metadata: { resourceVersion: String(state.resourceVersion), ...more }, items });
      },
    },
    async *watch(_path: string, query: Readonly<Record<string, string>>, signal: AbortSignal) {
      state.watchedFrom.push(query['resourceVersion'] ?? '');
      const error = state.watchErrors.shift();
      if (error !== undefined) throw error;
      const events: unknown[] = [];
      let ended: { error?: Error } | undefined;
      let wake = (): void => undefined;
      const next = async (): Promise<void> => {
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      };
      feeds.push({
        push(event) {
          events.push(event);
          wake();
        },
        end(error) {
          ended = error === undefined ? {} : { error };
          wake();
        },
      });
      for (;;) {
        signal.throwIfAborted();
        if (events.length > 0) yield events.shift();
        else if (ended?.error !== undefined) throw ended.error;
        else if (ended !== undefined) return;
        else await next();
      }
    },
    // Nothing else of a cluster is used by the informer.
  } as unknown as Cluster;
  return { cluster, state, feeds };
}

async function start(t: ExecutionContext, prepare?: (state: ReturnType<typeof scripted>['state']) => void) {
  const server = scripted();
  prepare?.(server.state);
  const clock = manualClock();
  const cache = new SigninCache();
  const informer = new Informer({
    cluster: server.cluster,
    namespace: 'tka-sessions',
    cache,
    clock,
    random: () => 1,
    log: pino({ level: 'silent' }),
    onListed: () => undefined,
  });
  informer.start();
  t.teardown(async () => {
    await informer.stop();
  });
  await clock.advance(0);
  return { ...server, clock, cache, informer, feed: () => lastOf(server.feeds) };
}

function lastOf<T>(list: readonly T[]): T {
  const last = list.at(-1);
  if (last === undefined) throw new Error('no watch is open');
  return last;
}

function object(name: string, resourceVersion: number): TkaSignin {
  return testSignin({ metadata: { name, uid: name, resourceVersion: String(resourceVersion) } });
}

const added = (name: string, resourceVersion: number) => ({ type: 'ADDED', object: object(name, resourceVersion) });
const names = (cache: SigninCache): readonly string[] => cache.list().map(({ metadata }) => metadata.name);

/** A watch as it goes when all is well: it ends after a while. */
async function endAfter(clock: ManualClock, ms: number, end: () => void): Promise<void> {
  await clock.advance(ms);
  end();
  await clock.advance(0);
}

test('listed objects are in the cache, then watched changes', async (t) => {
  const { cache, feed, clock, state } = await start(t, (s) => s.items.push(object('a', 5)));
  t.deepEqual(names(cache), ['a']);
  t.deepEqual(state.watchedFrom, ['10']);
  feed().push(added('b', 11));
  feed().push({ type: 'DELETED', object: object('a', 12) });
  await clock.advance(0);
  t.deepEqual(names(cache), ['b']);
});

test('a list of several pages is one list', async (t) => {
  const { cache, state } = await start(t, (s) => {
    s.items.push(...['a', 'b', 'c', 'd', 'e'].map((name) => object(name, 5)));
    s.pageSize = 2;
  });
  t.is(cache.list().length, 5);
  t.is(state.lists, 3);
});

test('a watch that ends is followed by another, from the last version seen', async (t) => {
  const { feed, clock, state } = await start(t);
  feed().push(added('a', 11));
  feed().push({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '20' } } });
  await endAfter(clock, 20_000, () => feed().end());
  t.deepEqual(state.watchedFrom, ['10', '20']);
  t.is(state.lists, 1);
});

test('a watch that breaks is started again from the last version seen, after a pause', async (t) => {
  const { feed, clock, state, cache } = await start(t);
  feed().push(added('a', 11));
  await endAfter(clock, 5000, () => feed().end(new ApiUnavailableError('watch', 'tkasignins', 'broken')));
  t.is(state.watchedFrom.length, 1);
  await clock.advance(100);
  t.deepEqual(state.watchedFrom, ['10', '11']);
  feed().push(added('b', 12));
  await clock.advance(0);
  t.deepEqual(names(cache), ['a', 'b']);
});

for (const [how, fail] of [
  [
    'as an answer',
    (state: { watchErrors: Error[] }) => state.watchErrors.push(new GoneError('watch', 'tkasignins', 'old')),
  ],
  ['inside the stream', undefined],
] as const) {
  test(`a version that is too old (410, ${how}) is followed by a list`, async (t) => {
    const { feed, clock, state, cache } = await start(t, fail);
    if (fail === undefined) {
      feed().push({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } });
    }
    state.items.push(object('missed', 15));
    state.resourceVersion = 30;
    await clock.advance(100);
    t.is(state.lists, 2);
    t.deepEqual(names(cache), ['missed']);
    t.is(state.watchedFrom.at(-1), '30');
  });
}

test('an event that makes no sense ends that watch, not the informer', async (t) => {
  const { feed, clock, state, cache } = await start(t);
  feed().push({ type: 'WAT' });
  await clock.advance(100);
  t.is(state.watchedFrom.length, 2);
  feed().push(added('a', 11));
  await clock.advance(0);
  t.deepEqual(names(cache), ['a']);
});

test('a watch that hangs is replaced in less than 30 s', async (t) => {
  const { clock, state, feed, cache } = await start(t);
  await clock.advance(29_000);
  t.is(state.watchedFrom.length, 2);
  feed().push(added('a', 11));
  await clock.advance(0);
  t.deepEqual(names(cache), ['a']);
});

test('an API server that ends each watch at once is not asked in a loop', async (t) => {
  const { clock, state, feed } = await start(t);
  for (let i = 0; i < 20; i += 1) {
    feed().end();
    await clock.advance(50);
  }
  t.true(state.watchedFrom.length <= 6, String(state.watchedFrom.length));
});

test('a new list is made each minute, though the watch is silent and healthy', async (t) => {
  const { clock, state, cache } = await start(t);
  state.items.push(object('missed', 11));
  state.resourceVersion = 12;
  await clock.advance(59_000);
  t.deepEqual(names(cache), []);
  await clock.advance(1100);
  t.deepEqual(names(cache), ['missed']);
});

for (const [title, ms] of [
  ['ahead', 300_000],
  ['back', -300_000],
] as const) {
  test(`after the clock was set ${title} by 5 min, everything is listed again within 5 s`, async (t) => {
    const { clock, state, informer } = await start(t);
    await clock.advance(10_000);
    t.is(state.lists, 1);
    clock.jump(ms);
    await clock.advance(5000);
    t.is(state.lists, 2);
    t.true(Math.abs(clock.now() - (informer.lastListAt ?? 0)) <= 5000);
  });
}

test('an API server that is away at the start is asked until it is there', async (t) => {
  const away = new ApiUnavailableError('list', 'tkasignins', 'away');
  const missing = new NotFoundError('list', 'tkasignins', 'no CRD');
  const { clock, informer, cache } = await start(t, (s) => {
    s.listErrors.push(away, missing, away, away);
    s.items.push(object('a', 5));
  });
  t.is(informer.lastListAt, undefined);
  await clock.advance(10_000);
  t.deepEqual(names(cache), ['a']);
  t.not(informer.lastListAt, undefined);
});

test('an API server that is away for a minute is asked at most every 5 s, and back within them', async (t) => {
  const { clock, state, feed, cache } = await start(t);
  const away = Array.from({ length: 100 }, () => new ApiUnavailableError('watch', 'tkasignins', 'away'));
  state.watchErrors.push(...away);
  state.listErrors.push(...away);
  await endAfter(clock, 5000, () => feed().end(away[0]));
  await clock.advance(60_000);
  t.true(state.lists < 40, String(state.lists));
  state.watchErrors.length = 0;
  state.listErrors.length = 0;
  state.items.push(object('a', 50));
  state.resourceVersion = 60;
  await clock.advance(5000);
  t.deepEqual(names(cache), ['a']);
});

test("the earlier product's objects are left out, and named", async (t) => {
  const legacy = { metadata: { ...object('tka-user-old', 5).metadata }, spec: { username: 'old', role: 'view' } };
  const { cache, informer, feed, clock } = await start(t, (s) => s.items.push(legacy, object('a', 6)));
  t.deepEqual(names(cache), ['a']);
  t.deepEqual(informer.foreign, ['tka-user-old']);
  feed().push({ type: 'MODIFIED', object: legacy });
  feed().push(added('b', 12));
  await clock.advance(0);
  t.deepEqual(names(cache), ['a', 'b']);
});

test('nothing is asked after stop', async (t) => {
  const { clock, informer, state } = await start(t);
  await informer.stop();
  await clock.advance(200_000);
  t.is(state.lists, 1);
  t.is(state.watchedFrom.length, 1);
});
