import test from 'ava';
import { hour, makeAccess, makeCluster, makeSession, startedAt } from '../../testing/home.tsx';
import { type HomeEvent, update } from './model.ts';
import { type Access, type HomeState, initialState, liveNotice, rowsOf, selectedRow } from './state.ts';

const dev = makeCluster('dev');
const prod = makeCluster('prod');
const away = makeCluster('zeta', { answer: { state: 'away', reason: 'no answer within 1 s' } });
const asking = makeCluster('yota', { answer: { state: 'asking' } });
const view = makeSession('view');
const edit = makeSession('edit', { contexts: ['tka-dev-edit'], current: true });

const after = (state: HomeState, ...events: readonly HomeEvent[]): HomeState => events.reduce(update, state);
const press = (state: HomeState, ...keys: readonly string[]): HomeState =>
  after(state, ...keys.map((key) => ({ type: 'key', key }) as const));
const has = (name: string, access: Access): HomeEvent => ({
  type: 'access',
  server: makeCluster(name).server,
  access,
});
/** dev with two sessions, prod with none, one that does not answer and one that has not yet. */
const world = after(
  initialState,
  { type: 'clusters', clusters: [dev, prod, asking, away] },
  { type: 'searched' },
  has('dev', makeAccess([view, edit])),
  has('prod', makeAccess([])),
);

test('each cluster that answers is asked once what the caller has there, and again on refresh, R and after an action', (t) => {
  // Of the one that is away, what this machine knows.
  t.deepEqual(world.wanted, { [dev.server]: 1, [prod.server]: 1, [away.server]: 1 });
  t.is(after(world, { type: 'clusters', clusters: [dev, prod, asking, away] }).wanted, world.wanted);
  t.is(after(world, { type: 'refresh' }).wanted[prod.server], 2);
  t.like(press(world, 'R'), { searching: true, searches: 2, wanted: { [dev.server]: 2 } });
  const busy = press(world, 'enter');
  t.is(after(busy, { type: 'stopped', id: 1 }).wanted[dev.server], 2);
});

test('a search after the first one shows what was known until there is better', (t) => {
  const again = { ...dev, name: 'tka-dev', answer: { state: 'asking' } } as const;
  const state = after(world, { type: 'clusters', clusters: [again, prod] });
  t.deepEqual(state.clusters, [dev, prod]);
});

test('after an action at a cluster that is not trusted yet, it is looked up again', (t) => {
  const notice = { tone: 'ok', text: 'Logged in.', advice: [] } as const;
  const fresh = after(world, { type: 'clusters', clusters: [{ ...dev, trust: 'new' }, prod] });
  t.is(after(press(fresh, 'enter'), { type: 'done', id: 1, notice }).searches, 2);
  t.is(after(press(world, 'enter'), { type: 'done', id: 1, notice }).searches, 1);
});

const failed = has('dev', { state: 'failed', message: 'no answer', advice: [] });

test('sessions of a server that no longer answers stay, until it says that they are gone', (t) => {
  const rows = (state: HomeState): number => rowsOf(state).filter(({ kind }) => kind === 'session').length;
  const lost = after(world, failed, failed);
  t.is(rows(lost), 2);
  t.like(lost.access[dev.server], { state: 'failed', before: { username: 'alice@example.com' } });
  t.is(rows(after(lost, has('dev', makeAccess([])))), 0);
  t.is(rows(after(lost, has('dev', { state: 'refused', message: 'no', advice: [] }))), 0);
});

test('as long as a cluster is away it is looked for, and asked as soon as it is back', (t) => {
  const all = after(
    initialState,
    { type: 'clusters', clusters: [dev] },
    { type: 'searched' },
    has('dev', makeAccess([])),
  );
  t.is(after(all, { type: 'refresh' }).searches, 1);
  t.is(after(all, failed, { type: 'refresh' }).searches, 2);
  const gone = after(all, { type: 'clusters', clusters: [{ ...dev, answer: away.answer }] }, { type: 'refresh' });
  t.is(gone.searches, 2);
  const back = after(gone, { type: 'clusters', clusters: [dev] });
  t.is(back.wanted[dev.server], (gone.wanted[dev.server] ?? 0) + 1);
  t.is(after(initialState, { type: 'refresh' }).searches, 1, 'not while it searches');
  t.is(after(initialState, { type: 'searched' }, { type: 'refresh' }).searches, 2);
});

test('a session that has ended keeps its role, and enter opens it again', (t) => {
  const { role: _, ...nameless } = view;
  const over = after(world, has('dev', makeAccess([{ ...nameless, state: 'ended' }])));
  t.like(rowsOf(over)[1], { session: { state: 'ended', role: 'view' } });
  t.like(press(over, 'j', 'enter').action, { kind: 'login', request: { role: 'view' } });
});

const moves: readonly (readonly [string, readonly string[], string])[] = [
  ['the first row is selected', [], dev.server],
  ['down and j go down, over sessions as well', ['down', 'j'], `${dev.server} ${edit.session}`],
  ['up and k go up', ['j', 'j', 'j', 'k', 'up'], `${dev.server} ${view.session}`],
  ['G is the last, g the first', ['G'], away.server],
  ['g is the first', ['G', 'g'], dev.server],
  ['nothing is above the first', ['k', 'k'], dev.server],
  ['nothing is below the last', ['G', 'j'], away.server],
];
for (const [title, keys, expected] of moves) {
  test(title, (t) => t.is(selectedRow(press(world, ...keys))?.key, expected));
}

test('the selected row stays selected when others appear above it', (t) => {
  const state = after(press(world, 'G', 'k', 'k'), {
    type: 'clusters',
    clusters: [makeCluster('alpha'), dev, prod, away],
  });
  t.is(selectedRow(state)?.key, prod.server);
});

test('when the selected row goes, what is then in its place is selected', (t) => {
  const state = after(press(world, 'j', 'j'), has('dev', makeAccess([view])));
  t.is(selectedRow(state)?.key, prod.server);
});

test('until the selection moves, the first row is selected', (t) => {
  const state = after(world, { type: 'clusters', clusters: [makeCluster('alpha'), dev] });
  t.is(selectedRow(state)?.cluster.name, 'alpha');
});

const begun: readonly (readonly [string, readonly string[], object])[] = [
  ['enter at a cluster logs in without a request', ['enter'], { kind: 'login', cluster: dev, request: {} }],
  ['enter at a session renews it', ['j', 'enter'], { kind: 'renew', session: view.session, request: { role: 'view' } }],
  ['n renews the session', ['j', 'j', 'n'], { kind: 'renew', session: edit.session, request: { role: 'edit' } }],
  ['o twice logs out of the session', ['j', 'o', 'o'], { kind: 'logout', session: view.session }],
  ['s at a cluster opens a shell there', ['s'], { kind: 'shell', cluster: dev, request: {} }],
  ['s at a session opens one with its role', ['j', 's'], { kind: 'shell', request: { role: 'view' } }],
];
for (const [title, keys, expected] of begun) {
  test(title, (t) => t.like(press(world, ...keys).action, { ...expected, stopping: false }));
}

test('n and o at a cluster mean its only live session', (t) => {
  const over = makeSession('admin', { state: 'ended' });
  const one = after(world, has('dev', makeAccess([view, over])));
  t.is(press(one, 'n').action?.session, view.session);
  t.is(press(one, 'o', 'o').action?.session, view.session);
});

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['n at a cluster with two sessions asks which', ['n'], /Which session at dev\?/],
  ['o at a cluster with two sessions asks which', ['o'], /Which session at dev\?/],
  ['n at a cluster without a session says so', ['j', 'j', 'j', 'n'], /No session at prod to renew/],
  ['enter at a cluster that does not answer says why', ['G', 'enter'], /zeta cannot be reached: no answer within 1 s/],
  ['enter at a cluster that is still asked says so', ['G', 'k', 'enter'], /yota has not answered yet/],
  ['y where there is no context says so', ['j', 'j', 'j', 'y'], /No context to copy/],
];
for (const [title, keys, expected] of refused) {
  test(title, (t) => {
    const state = press(world, ...keys);
    t.is(state.action, undefined);
    t.regex(state.notice?.text ?? '', expected);
    t.is(press(state, 'j').notice, undefined, 'and stays until a key');
  });
}

test('logging out takes a second o; any other key keeps the session', (t) => {
  const asked = press(world, 'j', 'o');
  t.like(asked, { view: { name: 'confirm', session: view.session }, action: undefined });
  for (const key of ['escape', 'enter', 'q', 'y', 'j', 'O']) {
    const kept = press(asked, key);
    t.like(kept, { view: { name: 'list' }, action: undefined, quitting: false }, key);
  }
});

test('a paste does not log out', (t) => {
  const several = ['o', 'o'].map((key) => ({ type: 'key', key, isAlone: false }) as const);
  t.like(after(press(world, 'j'), ...several), { view: { name: 'list' }, action: undefined });
  t.like(after(press(world, 'j', 'o'), ...several), { view: { name: 'list' }, action: undefined });
});

test('while something is done nothing else begins; the list can be looked through, and esc stops it', (t) => {
  const busy = press(world, 'enter');
  const same = press(busy, 'j', 'j', 'enter', 'n', 's', 'r', 'o');
  t.is(same.action, busy.action);
  t.deepEqual(same.view, { name: 'list' });
  t.is(selectedRow(same)?.key, `${dev.server} ${edit.session}`);
  t.true(press(busy, 'escape').action?.stopping);
});

test('q and ctrl-c quit; while something is done, once that has stopped, or at once when asked again', (t) => {
  for (const key of ['q', 'ctrl-c']) {
    t.like(press(world, key), { quitting: true, action: undefined });
    const stopping = press(world, 'enter', key);
    t.like(stopping, { quitting: true, action: { stopping: true } });
    t.is(after(stopping, { type: 'stopped', id: 1 }).action, undefined);
    t.is(press(stopping, key).action, undefined);
  }
  t.true(press(world, '/', 'ctrl-c').quitting);
  t.true(press(world, '?', 'ctrl-c').quitting);
});

test('what was done is said until a key; a report of an action that is over counts for nothing', (t) => {
  const busy = press(world, 'enter');
  const notice = { tone: 'ok', text: 'Logged in.', advice: [] } as const;
  const done = after(busy, { type: 'done', id: 1, notice });
  t.like(done, { notice, action: undefined });
  t.is(press(done, 'k').notice, undefined);
  t.is(after(done, { type: 'failed', id: 1, problem: { message: 'late', advice: [] } }), done);
});

test('a failure is said with its advice; an ambiguous grant opens the picker', (t) => {
  const busy = press(world, 'enter');
  const problem = { message: 'no', advice: ['do this'] };
  t.like(after(busy, { type: 'failed', id: 1, problem }), {
    notice: { tone: 'danger', text: 'no', advice: ['do this'] },
  });
  const tied = after(busy, { type: 'failed', id: 1, problem: { ...problem, code: 'ambiguous_grant' } });
  t.deepEqual(tied.view, { name: 'picker', server: dev.server });
  t.like(tied.notice, { tone: 'warning', advice: [] }, 'the picker is the advice');
  t.is(after(tied, { type: 'unpicked' }).notice, undefined);
  const shell = after(press(world, 's'), { type: 'failed', id: 1, problem: { ...problem, code: 'ambiguous_grant' } });
  t.like(after(shell, { type: 'picked', request: { role: 'edit' } }).action, {
    kind: 'shell',
    request: { role: 'edit' },
  });
});

test('r opens the picker, which takes the keys; what is picked is logged in with', (t) => {
  const picking = press(world, 'r');
  t.deepEqual(picking.view, { name: 'picker', server: dev.server });
  t.is(press(picking, 'q', 'j', 'o'), picking);
  const picked = after(picking, { type: 'picked', request: { role: 'edit', period: '30m' } });
  t.like(picked, { view: { name: 'list' }, action: { kind: 'login', request: { role: 'edit', period: '30m' } } });
  t.like(after(picking, { type: 'unpicked' }), { view: { name: 'list' }, action: undefined });
});

test('without a grant neither enter nor r tries: they say why', (t) => {
  const dropped = ['{"role":""}: role is empty'];
  const none = after(world, has('dev', makeAccess([], { rules: [], dropped })));
  for (const key of ['enter', 'r']) {
    const state = press(none, key);
    t.is(state.action, undefined);
    t.is(state.notice?.text, 'The tailnet policy grants you nothing at dev.');
    t.true(state.notice?.advice.some((line) => line.includes('role is empty')));
  }
  const refusal = after(
    world,
    has('dev', { state: 'refused', message: 'your node is shared', advice: ['use another'] }),
  );
  t.like(press(refusal, 'enter'), { action: undefined, notice: { text: 'your node is shared' } });
});

test('y copies the context of the session, at a cluster the current one', (t) => {
  t.is(press(world, 'j', 'y').copied?.text, 'tka-dev');
  const copied = press(world, 'y');
  t.is(copied.copied?.text, 'tka-dev-edit');
  t.regex(copied.notice?.text ?? '', /tka-dev-edit/);
  t.not(press(copied, 'y').copied?.id, copied.copied?.id, 'copied again when pressed again');
});

test('/ filters by name as it is typed; enter keeps the filter, esc clears it', (t) => {
  const typed = press(world, '/', 'P', 'r', 'q', 'backspace');
  t.is(typed.filter, 'Pr');
  t.is(selectedRow(typed)?.key, prod.server);
  t.like(press(typed, 'enter'), { view: { name: 'list' }, filter: 'Pr' });
  t.like(press(typed, 'enter', 'escape'), { filter: '' });
  t.like(press(typed, 'escape'), { view: { name: 'list' }, filter: '' });
});

test('any key leaves the help, and does nothing else', (t) => {
  t.deepEqual(press(world, '?', 'q'), world);
});

test('a session that has ended by the clock is kept until the server says that it is gone', (t) => {
  const past = makeSession('view', { endsAt: Date.parse('2026-03-01T09:00:00Z') - hour });
  const state = after(world, has('prod', makeAccess([past])));
  t.is(selectedRow(press(state, 'j', 'j', 'j', 'j'))?.key, `${prod.server} ${past.session}`);
});

test('a notice about a session goes when the server, which has listed the session, no longer does', (t) => {
  const busy = press(world, 'enter');
  const notice = { tone: 'ok', text: 'Logged in.', advice: [] } as const;
  const session = { session: view.session, endsAt: startedAt + hour };
  const done = after(busy, { type: 'done', id: 1, notice, session });
  t.is(after(done, has('dev', makeAccess([edit]))).notice?.text, 'Logged in.', 'not listed yet');
  const listed = after(done, has('dev', makeAccess([view, edit])));
  t.is(listed.notice?.text, 'Logged in.');
  t.is(after(listed, has('dev', makeAccess([edit]))).notice, undefined);
  t.is(after(listed, has('dev', makeAccess([{ ...view, state: 'ended' }]))).notice, undefined);
  t.is(after(listed, has('prod', makeAccess([]))).notice?.text, 'Logged in.', 'another server');
  t.is(liveNotice(listed, startedAt)?.text, 'Logged in.');
  t.is(liveNotice(listed, (view.endsAt ?? 0) + 1), undefined, 'its end has come');
});

test('rows of a server that no longer answers are its last known state', (t) => {
  const gone = { ...dev, answer: { state: 'away', reason: 'no answer' } } as const;
  const stale = rowsOf(after(world, { type: 'clusters', clusters: [gone, prod] })).filter(
    ({ kind }) => kind === 'session',
  );
  t.deepEqual(
    stale.map((row) => row.kind === 'session' && row.isStale),
    [true, true],
  );
});

test('u uses the context of the session; of a cluster with several it asks which', (t) => {
  t.like(press(world, 'j', 'u').action, { kind: 'use', session: view.session });
  t.regex(press(world, 'u').notice?.text ?? '', /Which session/);
});
