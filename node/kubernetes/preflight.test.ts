import test from 'ava';
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { ApiUnavailableError, ForbiddenError, UnauthorizedError } from '../../reconciler/errors.ts';
import { reinstall } from '../../reconciler/kubernetes/installation.ts';
import { type Access, type AccessRule, describeAccess, neededAccess } from './access.ts';
import type { PreflightApi } from './preflight.ts';
import { PreflightError, installationProblems, isNewEnough, preflight, untilChecked } from './preflight.ts';
import { installed } from '../testing/installed-policies.ts';

const { signal } = new AbortController();
const roles = ['view', 'edit'];

const isEveryRole = ({ verb, name }: Access): boolean => verb === 'bind' && name === undefined;

function api(overrides: Partial<PreflightApi> = {}): PreflightApi {
  return {
    version: () => Promise.resolve({ major: '1', minor: '36', gitVersion: 'v1.36.3' }),
    object: (path) => Promise.resolve(installed(path)),
    rules: () => Promise.resolve([]),
    may: (access) => Promise.resolve(!isEveryRole(access)),
    ...overrides,
  };
}
const check = (overrides: Partial<PreflightApi> = {}, sessionsNamespace = 'tka-sessions') =>
  preflight({ api: api(overrides), sessionsNamespace, roles, election: false }, signal);

test('a complete installation has neither problems nor warnings', async (t) => {
  t.deepEqual(await check(), { problems: [], warnings: [] });
});

const versions: readonly [major: string, minor: string, isEnough: boolean][] = [
  ['1', '29', false],
  ['1', '29+', false],
  ['1', '30', true],
  ['1', '30+', true],
  ['1', '9', false],
  ['2', '0', true],
  ['0', '99', false],
  ['', '', false],
];

for (const [major, minor, isEnough] of versions) {
  test(`Kubernetes ${major}.${minor} is ${isEnough ? '' : 'not '}new enough`, (t) => {
    t.is(isNewEnough({ major, minor }), isEnough);
  });
}

test('an old Kubernetes is the only problem, and both versions are named', async (t) => {
  const old = { major: '1', minor: '29', gitVersion: 'v1.29.4' };
  const { problems } = await check({ version: () => Promise.resolve(old), object: () => Promise.resolve(undefined) });
  t.is(problems.length, 1);
  t.regex(problems.join(), /v1\.29\.4.*1\.30 or newer/);
});

test('a missing object is named, with the command that installs it', async (t) => {
  const { problems } = await check({
    object: (path) =>
      Promise.resolve(/customresourcedefinitions|policies\/tka-bindings/.test(path) ? undefined : installed(path)),
  });
  t.is(problems.length, 2);
  t.regex(
    problems.join('\n'),
    /CustomResourceDefinition tkasignins\.tka\.specht-labs\.de is not installed: .*kubectl apply -k OVERLAY/,
  );
  t.regex(problems.join('\n'), /admission policy tka-bindings/);
});

test('what tka may not look at is a missing right, not a crash', async (t) => {
  const { problems } = await check({ object: () => Promise.reject(new ForbiddenError('get', 'x', 'no')) });
  t.regex(problems.join('\n'), /tka may not get the CustomResourceDefinition/);
});

test('a missing right names verb, resource and namespace', async (t) => {
  const { problems } = await check({
    may: ({ verb, subresource }) => Promise.resolve(!(verb === 'create' && subresource === 'token')),
  });
  t.deepEqual(problems, [
    `tka may not create serviceaccounts/token in namespace tka-sessions: its rights are in manifests/cluster/rbac.yaml; ${reinstall}`,
  ]);
});

test('the rights on the Lease are asked for where replicas elect a leader, and nowhere else', async (t) => {
  const may = ({ resource }: Access): Promise<boolean> => Promise.resolve(resource !== 'leases');
  const deps = { api: api({ may }), sessionsNamespace: 'tka-sessions', roles };
  t.deepEqual((await preflight({ ...deps, election: false }, signal)).problems, []);
  const { problems } = await preflight({ ...deps, election: true }, signal);
  t.deepEqual(
    problems.map((problem) => problem.split(':', 1)[0]),
    [
      'tka may not create leases.coordination.k8s.io in namespace tka-system',
      'tka may not get leases.coordination.k8s.io tka in namespace tka-system',
      'tka may not patch leases.coordination.k8s.io tka in namespace tka-system',
    ],
  );
});

test('a role that may not be bound is a warning, and none at all a problem', async (t) => {
  const some = await check({ may: ({ verb, name }) => Promise.resolve(!(verb === 'bind' && name === 'edit')) });
  t.deepEqual(some.problems, []);
  t.regex(some.warnings.join(), /bind clusterroles\.rbac\.authorization\.k8s\.io edit in the whole cluster/);
  const none = await check({ may: ({ verb }) => Promise.resolve(verb !== 'bind') });
  t.is(none.problems.length, 2);
});

test("sessions in tka's own namespace are refused", async (t) => {
  const { problems } = await check({}, 'tka-system');
  t.regex(problems.join(), /operator\.namespace is tka-system/);
});

test('access is described in the words of RBAC', (t) => {
  const described: readonly [Access, string][] = [
    [{ verb: 'get', group: '', resource: 'namespaces' }, 'get namespaces in the whole cluster'],
    [
      { verb: 'patch', group: 'a.b', resource: 'c', subresource: 'status', namespace: 'n' },
      'patch c/status.a.b in namespace n',
    ],
  ];
  for (const [access, words] of described) t.is(describeAccess(access), words);
});

test('the rights that are checked are those that manifests/cluster/rbac.yaml gives', async (t) => {
  const text = await readFile(new URL('../../manifests/cluster/rbac.yaml', import.meta.url), 'utf8');
  const given = parseAllDocuments(text)
    // The manifests are ours; a document of another shape fails the comparison below.
    .map(
      (document) =>
        document.toJS() as {
          kind: string;
          metadata: { namespace?: string; name: string };
          rules?: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
        },
    )
    .filter(({ kind, metadata }) => kind.endsWith('Role') && metadata.name === 'tka')
    .flatMap(({ metadata, rules }) =>
      (rules ?? [])
        .filter(({ resourceNames }) => resourceNames === undefined)
        .flatMap(({ apiGroups, resources, verbs }) =>
          apiGroups.flatMap((group) =>
            resources.flatMap((resource) =>
              verbs.map(
                (verb) =>
                  `${verb} ${resource}${group === '' ? '' : `.${group}`}${metadata.namespace === undefined ? ' in the whole cluster' : ` in namespace ${metadata.namespace}`}`,
              ),
            ),
          ),
        ),
    );
  t.deepEqual(neededAccess('tka-sessions').map(describeAccess).sort(), given.sort());
});

function scripted(...answers: (Error | readonly string[])[]) {
  const left = [...answers];
  return () => {
    const answer = left.shift();
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve({ problems: answer ?? [], warnings: ['careful'] });
  };
}
const away = new ApiUnavailableError('get', '/version', 'connect ECONNREFUSED');

test('an API server that is away is asked again, and each time it is said', async (t) => {
  const said: number[] = [];
  const deps = { onAway: (_error: Error, nextTryMs: number) => said.push(nextTryMs), sleep: () => Promise.resolve() };
  const warnings = await untilChecked(scripted(away, away, away, away, away, away, away, []), deps, signal);
  t.deepEqual(warnings, ['careful']);
  t.deepEqual(said, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
});

const fatal: readonly [title: string, answer: Error | readonly string[], message: RegExp][] = [
  ['problems', ['one', 'two'], /^one\ntwo$/],
  [
    'a credential that is refused',
    new UnauthorizedError('get', '/version', '401'),
    /does not know tka's credential.*kubernetes\.kubeconfig/,
  ],
  [
    'a refusal',
    new ForbiddenError('create', 'x', 'cannot create x: no impersonation'),
    /the API server refuses tka: cannot create x/,
  ],
];

for (const [title, answer, message] of fatal) {
  test(`${title} end the check`, async (t) => {
    const deps = { onAway: () => t.fail(), sleep: () => Promise.resolve() };
    await t.throwsAsync(untilChecked(scripted(answer), deps, signal), { instanceOf: PreflightError, message });
  });
}

test('what an API server refuses that has just come back is not believed at once', async (t) => {
  const unknown = new UnauthorizedError('get', '/version', '401');
  const said: number[] = [];
  const deps = { onAway: (_error: Error, nextTryMs: number) => said.push(nextTryMs), sleep: () => Promise.resolve() };
  t.deepEqual(await untilChecked(scripted(away, unknown, ['tka may not'], []), deps, signal), ['careful']);
  t.deepEqual(said, [500, 1000, 1000]);
  await t.throwsAsync(untilChecked(scripted(away, ...Array.from({ length: 11 }, () => unknown)), deps, signal), {
    instanceOf: PreflightError,
  });
});

test('a stop ends the waiting', async (t) => {
  const stop = new AbortController();
  const deps = {
    onAway: () => stop.abort(new Error('stopped')),
    sleep: (_ms: number, signal: AbortSignal) => Promise.reject(signal.reason as Error),
  };
  await t.throwsAsync(untilChecked(scripted(away, away), deps, stop.signal), { message: 'stopped' });
});

test('the right to bind every ClusterRole, which an empty list of roles gives, is a warning', async (t) => {
  const { problems, warnings } = await check({ may: () => Promise.resolve(true) });
  t.deepEqual(problems, []);
  t.regex(warnings.join(), /tka may bind every ClusterRole.* tka-bindable-roles, which must not be empty/);
});

const everything: AccessRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
const running = (rules: readonly AccessRule[], may: (access: Access) => boolean) => {
  const asked: string[] = [];
  const deps = {
    api: api({
      rules: () => Promise.resolve(rules),
      may(access) {
        asked.push(describeAccess(access));
        return Promise.resolve(may(access));
      },
    }),
    sessionsNamespace: 'tka-sessions',
    roles,
    election: true,
  };
  return { asked, problems: () => installationProblems(deps, signal) };
};

test('while the server runs, what its rules show to be allowed is not asked one by one', async (t) => {
  // A subresource is no resource, and needs a rule of its own.
  const { asked, problems } = running(
    [{ ...everything, resources: ['*', 'tkasignins/status', 'serviceaccounts/token'] }],
    () => true,
  );
  t.deepEqual([await problems(), asked], [[], []]);
});

test('while the server runs, a right that its rules do not show is asked for, and a problem where it is refused', async (t) => {
  const named = [
    { verbs: ['get', 'patch'], apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['other'] },
  ];
  const { asked, problems } = running(
    named,
    ({ verb, resource }) => !(verb === 'create' && resource === 'rolebindings'),
  );
  const found = await problems();
  t.is(found.length, 1);
  t.regex(found.join(), /tka may not create rolebindings\.rbac\.authorization\.k8s\.io in the whole cluster/);
  t.true(
    asked.includes('get leases.coordination.k8s.io tka in namespace tka-system'),
    'another name is no right on this one',
  );
});
