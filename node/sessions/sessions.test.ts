import test from 'ava';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { apiVersion, kind, signinName } from '../../crd/tkasignin.ts';
import {
  ApiUnavailableError,
  ClockBehindError,
  ForbiddenError,
  NotFoundError,
  SessionEndingError,
  SessionFailedError,
  SessionNotFoundError,
  SessionNotReadyError,
  UnauthorizedError,
} from '../../reconciler/errors.ts';
import { isProvisioned } from '../../reconciler/reconcile/plan.ts';
import type { SignInRequest } from '../../reconciler/reconciler.ts';
import type { SignIn } from '../http/deps.ts';
import { ApiError } from '../http/errors.ts';
import type { SessionsDeps } from './sessions.ts';
import { createSessions, endOf } from './sessions.ts';

const now = new Date('2026-01-02T03:04:05.678Z');
const { signal } = new AbortController();
const alice = 'control.example|user:7';

function signin(
  spec: Partial<TkaSignin['spec']> = {},
  rest: { deleted?: boolean; created?: string; status?: TkaSignin['status'] } = {},
): TkaSignin {
  const full = { subject: alice, username: 'alice', role: 'view', expiresAt: '2026-01-02T04:00:00Z', ...spec };
  return {
    apiVersion,
    kind,
    metadata: {
      name: signinName(full),
      namespace: 'tka-sessions',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: rest.created ?? '2026-01-02T03:00:00Z',
      ...(rest.deleted === true ? { deletionTimestamp: '2026-01-02T03:01:00Z' } : {}),
    },
    spec: full,
    ...(rest.status === undefined ? {} : { status: rest.status }),
  };
}

const ready = (
  status: 'True' | 'False',
  reason: 'Provisioned' | 'RoleNotFound' | 'ApplyFailed' | 'Forbidden',
  message = '',
  lastTransitionTime = '',
) => ({
  conditions: [{ type: 'Ready' as const, status, reason, message, lastTransitionTime, observedGeneration: 1 }],
});

const request = (overrides: Partial<SignIn> = {}): SignIn => ({
  subject: alice,
  username: 'alice',
  node: 'n1',
  rule: { role: 'view', period: '1h', periodMs: 3_600_000, priority: 0 },
  periodMs: 3_600_000,
  ...overrides,
});

function setup(
  overrides: {
    signins?: TkaSignin[];
    deps?: Partial<SessionsDeps>;
    reconciler?: Partial<SessionsDeps['reconciler']>;
  } = {},
) {
  const stored: SignInRequest[] = [];
  const admitted: string[] = [];
  const fail = () => Promise.reject(new Error('unused'));
  const sessions = createSessions({
    reconciler: {
      signIn(wish) {
        stored.push(wish);
        return Promise.resolve(
          signin({ role: wish.role, ...(wish.namespaces === undefined ? {} : { namespaces: wish.namespaces }) }),
        );
      },
      list: () => overrides.signins ?? [],
      get: (name) => overrides.signins?.find((one) => one.metadata.name === name),
      usable: fail,
      end: fail,
      token: fail,
      isReady: isProvisioned,
      roleExists: () => Promise.resolve(true),
      namespaceExists: () => Promise.resolve(true),
      ...overrides.reconciler,
    },
    onAdmitted: (uid) => void admitted.push(uid),
    bindable: { clusterWide: ['view', 'edit'], namespaced: ['view'] },
    proxyToken: ({ name, uid }) => `tka_${name}_${uid}`,
    sessionsPerSubject: 3,
    retryAfterSeconds: 1,
    now: () => now,
    ...overrides.deps,
  });
  return { sessions, stored, admitted };
}

test('a session ends 30 s after its period, in whole seconds', async (t) => {
  const { sessions, stored } = setup();
  await sessions.signIn(request(), signal);
  t.is(stored[0]?.endsAt.toISOString(), '2026-01-02T04:04:35.000Z');
  t.is(endOf(now, 600_000).getTime() % 1000, 0);
  t.true(endOf(now, 600_000).getTime() - now.getTime() > 629_000);
});

test("the rule's role and scope and the caller's node are stored", async (t) => {
  const { sessions, stored } = setup();
  const rule = { role: 'view', period: '1h', periodMs: 3_600_000, priority: 0, namespaces: ['dev'] };
  await sessions.signIn(request({ rule }), signal);
  t.like(stored[0], { subject: alice, username: 'alice', role: 'view', namespaces: ['dev'], node: 'n1' });
  await sessions.signIn(request(), signal);
  t.false('namespaces' in (stored[1] ?? {}));
});

test('a stored login is reported as admitted, a failed one is not', async (t) => {
  const { sessions, admitted } = setup();
  await sessions.signIn(request(), signal);
  t.deepEqual(admitted, [signin().metadata.uid]);
  const failing = setup({ reconciler: { signIn: () => Promise.reject(new Error('no')) } });
  await t.throwsAsync(failing.sessions.signIn(request(), signal));
  t.deepEqual(failing.admitted, []);
});

const unbindable: readonly [
  title: string,
  rule: Partial<SignIn['rule']>,
  reconciler: Partial<SessionsDeps['reconciler']>,
  message: RegExp,
][] = [
  ['a role that is not configured', { role: 'admin' }, {}, /may not bind the role admin in the whole cluster/],
  [
    'a role that is configured for the whole cluster alone',
    { role: 'edit', namespaces: ['dev'] },
    {},
    /edit in namespaces/,
  ],
  ['a role that is not there', {}, { roleExists: () => Promise.resolve(false) }, /the ClusterRole view does not exist/],
  [
    'a namespace that is not there',
    { namespaces: ['dev', 'gone'] },
    { namespaceExists: (name) => Promise.resolve(name !== 'gone') },
    /the namespace gone does not exist/,
  ],
];

for (const [title, rule, reconciler, message] of unbindable) {
  test(`a login for ${title} is 422, and nothing is stored`, async (t) => {
    const { sessions, stored } = setup({ reconciler });
    const wish = request({ rule: { ...request().rule, ...rule } });
    const error = await t.throwsAsync(sessions.signIn(wish, signal), { instanceOf: ApiError, message });
    t.is(error?.status, 422);
    t.deepEqual(stored, []);
  });
}

test('a role that the API server refuses is 503 while that may pass, and 422 once it has lasted', async (t) => {
  let at = now.getTime();
  const refusal = new ForbiddenError('get', 'clusterroles', 'no');
  let failure: Error | undefined = refusal;
  const { sessions, stored } = setup({
    deps: { now: () => new Date(at) },
    reconciler: {
      roleExists: () => (failure === undefined ? Promise.resolve(true) : Promise.reject(failure)),
    },
  });
  const refused = async (): Promise<ApiError | undefined> =>
    await t.throwsAsync(sessions.signIn(request(), signal), { instanceOf: ApiError });
  for (const ms of [0, 3000, 3000]) {
    at += ms;
    t.like(await refused(), { status: 503, headers: { 'Retry-After': '2' } });
  }
  at += 4000;
  t.like(await refused(), { status: 422, message: 'tka may not bind the role view in the whole cluster' });
  t.deepEqual(stored, []);
  failure = undefined;
  await sessions.signIn(request(), signal);
  failure = refusal;
  t.like(await refused(), { status: 503 });
  failure = new ApiUnavailableError('get', 'clusterroles', 'ECONNREFUSED');
  t.like(await refused(), { status: 503, message: 'the API server is away' });
});

test('only live sessions of the subject are listed, newest first', (t) => {
  const { sessions } = setup({
    signins: [
      signin({ role: 'old' }, { created: '2026-01-02T01:00:00Z' }),
      signin({ role: 'new' }, { created: '2026-01-02T02:00:00Z' }),
      signin({ role: 'revoked' }, { deleted: true }),
      signin({ role: 'over', expiresAt: '2026-01-02T03:04:05Z' }),
      signin({ subject: 'control.example|user:70' }),
    ],
  });
  t.deepEqual(
    sessions.list(alice).map(({ role }) => role),
    ['new', 'old'],
  );
});

const views: readonly [
  title: string,
  status: TkaSignin['status'] | undefined,
  expected: { ready: boolean; problem?: string },
][] = [
  ['without a status is not ready', undefined, { ready: false }],
  ['that is provisioned is ready', ready('True', 'Provisioned'), { ready: true }],
  [
    'whose role is missing has a problem',
    ready('False', 'RoleNotFound', 'no such role'),
    { ready: false, problem: 'no such role' },
  ],
  [
    'that the API server has just refused has no problem yet',
    ready('False', 'Forbidden', 'no', '2026-01-02T03:04:00Z'),
    { ready: false },
  ],
  [
    'that the API server keeps refusing has a problem',
    ready('False', 'Forbidden', 'no', '2026-01-02T03:03:00Z'),
    { ready: false, problem: 'no' },
  ],
  ['that is tried again has no problem yet', ready('False', 'ApplyFailed', 'timeout'), { ready: false }],
];

for (const [title, status, expected] of views) {
  test(`a session ${title}`, (t) => {
    const { sessions } = setup({ signins: [signin({}, status === undefined ? {} : { status })] });
    const [view] = sessions.list(alice);
    t.deepEqual({ ready: view?.ready, problem: view?.problem }, { problem: undefined, ...expected });
  });
}

test('one session more than allowed is 429, a renewal is not one more', async (t) => {
  const three = ['a', 'b', 'c'].map((role) => signin({ role }));
  const deps = { bindable: { clusterWide: ['view', 'a'], namespaced: [] } };
  const { sessions } = setup({ signins: three, deps });
  const error = await t.throwsAsync(sessions.signIn(request(), signal), { instanceOf: ApiError });
  t.is(error?.status, 429);
  t.truthy(error?.headers['Retry-After']);
  await t.notThrowsAsync(sessions.signIn(request({ rule: { ...request().rule, role: 'a' } }), signal));
  await t.notThrowsAsync(sessions.signIn(request({ subject: 'control.example|user:8' }), signal));
});

test('logins under way count too, each session once', async (t) => {
  const release = Promise.withResolvers<TkaSignin>();
  const roles = ['a', 'b', 'c', 'd'];
  const { sessions } = setup({
    deps: { bindable: { clusterWide: roles, namespaced: [] } },
    reconciler: { signIn: () => release.promise },
  });
  const login = (role: string) => sessions.signIn(request({ rule: { ...request().rule, role } }), signal);
  const passing = ['a', 'a', 'b', 'c', 'a'].map(login);
  const error = await t.throwsAsync(login('d'), { instanceOf: ApiError });
  t.is(error?.status, 429);
  release.resolve(signin());
  t.is((await Promise.all(passing)).length, 5);
  await t.notThrowsAsync(login('d'));
});

const translations: readonly [error: Error, status: number | undefined, code?: string, advice?: RegExp][] = [
  [new ApiUnavailableError('create', 'tkasignins', 'away'), 503, 'unavailable'],
  [new DOMException('late', 'TimeoutError'), 503, 'unavailable'],
  [new UnauthorizedError('create', 'tkasignins', 'secret'), 503, 'unavailable'],
  [new ForbiddenError('create', 'tkasignins', 'secret'), 503, 'unavailable'],
  [
    new NotFoundError('create', 'tkasignins', 'cannot create tkasignins: the API server answered 404'),
    503,
    'unavailable',
  ],
  [new SessionEndingError('s', 'it ends'), 409, 'session_ending'],
  [
    new ClockBehindError('s', 290_000),
    422,
    'unprocessable',
    /log in with --period 15m or longer, or with --mode proxy/,
  ],
  [new SessionNotReadyError('s', 'not yet'), 503, 'unavailable'],
  [new SessionNotFoundError('s'), 404, 'not_found'],
  [new SessionFailedError('s', 'RoleNotFound', 'the role is not there'), 422, 'unprocessable'],
  [new TypeError('bug'), undefined],
];

for (const [error, status, code, advice = /./] of translations) {
  test(`${error.name} becomes ${status ?? 'a bug'}`, async (t) => {
    const { sessions } = setup({ reconciler: { signIn: () => Promise.reject(error) } });
    const thrown = await t.throwsAsync(sessions.signIn(request(), signal));
    if (status === undefined) t.is(thrown, error);
    else t.like(thrown, { status, code });
    if (thrown instanceof ApiError) t.regex(thrown.advice.join(), advice);
    if (status === 503) t.notRegex(thrown?.message ?? '', /secret/);
  });
}
