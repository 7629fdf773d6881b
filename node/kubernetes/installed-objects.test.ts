import test from 'ava';
import { ApiUnavailableError, ForbiddenError } from '../../reconciler/errors.ts';
import { missingObjects } from './installed-objects.ts';
import { installed } from '../testing/installed-policies.ts';

const { signal } = new AbortController();
const missing = (object: (path: string) => unknown) =>
  missingObjects({ object: async (path) => object(path) }, 'tka-sessions', signal);

test('the policies and bindings of the manifests have no fault', async (t) => {
  t.deepEqual(await missing(installed), []);
});

const weakened: readonly [title: string, path: RegExp, spec: object, words: RegExp][] = [
  [
    'a binding that only warns',
    /bindings\/tka-signins/,
    { policyName: 'tka-signins', validationActions: ['Warn'] },
    /binding of the admission policy tka-signins was changed: its validationActions are Warn, without Deny/,
  ],
  [
    'a binding of another policy',
    /bindings\/tka-signins/,
    { policyName: 'other', validationActions: ['Deny'] },
    /of the policy other/,
  ],
  [
    'a binding that leaves something out',
    /bindings\/tka-signins/,
    {
      policyName: 'tka-signins',
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { a: 'b' } } },
    },
    /matchResources leave something out/,
  ],
  [
    'a policy that fails open',
    /policies\/tka-bindings/,
    { failurePolicy: 'Ignore' },
    /admission policy tka-bindings was changed: its failurePolicy is Ignore/,
  ],
  ['a policy that validates nothing', /policies\/tka-bindings/, { validations: [] }, /no validations/],
  [
    'a policy that allows everything',
    /policies\/tka-bindings/,
    { validations: [{ expression: 'true' }] },
    /validations allow everything/,
  ],
  [
    'a policy with a condition that never holds',
    /policies\/tka-bindings/,
    {
      matchConditions: [
        { name: 'by-tka', expression: 'true' },
        { name: 'never', expression: 'false' },
      ],
    },
    /matchConditions is always false: delete it \(kubectl delete validatingadmissionpolicy tka-bindings\), then install/,
  ],
  ['a policy that matches nothing', /policies\/tka-bindings/, { matchConstraints: {} }, /matches no resources/],
  [
    'a policy that matches other resources',
    /policies\/tka-credentials/,
    { matchConstraints: { resourceRules: [{ resources: ['*'] }] } },
    /tka-credentials was changed: it does not match serviceaccounts\/token/,
  ],
  [
    'a policy that leaves objects out',
    /policies\/tka-server/,
    {
      matchConstraints: {
        objectSelector: { matchLabels: { a: 'b' } },
        resourceRules: [{ resources: ['*/*'] }],
      },
    },
    /tka-server was changed: its matchConstraints leave something out/,
  ],
  [
    'a policy of the whole cluster that leaves namespaces out',
    /policies\/tka-signins/,
    {
      matchConstraints: {
        namespaceSelector: { matchLabels: { a: 'b' } },
        resourceRules: [{ resources: ['tkasignins', 'tkasignins/status'] }],
      },
    },
    /tka-signins was changed: its matchConstraints leave something out/,
  ],
  [
    'a policy of all bindings that leaves namespaces out',
    /policies\/tka-bindings/,
    {
      matchConstraints: {
        namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] },
        resourceRules: [{ resources: ['*'] }],
      },
    },
    /tka-bindings was changed: its matchConstraints leave something out/,
  ],
  [
    'a policy that leaves a resource out',
    /policies\/tka-credentials/,
    { matchConstraints: { resourceRules: [{ resources: ['*/*'] }], excludeResourceRules: [{ resources: ['pods'] }] } },
    /tka-credentials was changed: its matchConstraints leave something out/,
  ],
  [
    'a binding that leaves a resource out',
    /bindings\/tka-server/,
    {
      policyName: 'tka-server',
      validationActions: ['Audit', 'Deny'],
      matchResources: { excludeResourceRules: [{ resources: ['pods'] }] },
    },
    /tka-server was changed: its matchResources leave something out/,
  ],
  ['a policy of another shape', /policies\/tka-server/, { validations: 'none' }, /tka-server is not one that can/],
  [
    'a binding of another shape',
    /bindings\/tka-server/,
    { validationActions: 'Deny' },
    /binding of the admission policy tka-server is not one that can be read/,
  ],
];
for (const [title, at, spec, words] of weakened) {
  test(`${title} is a problem, as a missing one is`, async (t) => {
    const problems = await missing((path) =>
      at.test(path) ? { spec: { ...installed(path).spec, ...spec } } : installed(path),
    );
    t.is(problems.length, 1);
    t.regex(problems.join(), words);
    t.regex(problems.join(), /install it again/);
  });
}

test('defaults that the API server adds to policies and bindings are no change', async (t) => {
  const defaults = { matchPolicy: 'Equivalent', objectSelector: {} };
  const object = (path: string): unknown => {
    const { spec } = installed(path);
    const { matchConstraints } = spec;
    return path.includes('bindings/')
      ? { spec: { ...spec, matchResources: { ...defaults, namespaceSelector: {} } } }
      : {
          spec: { ...spec, matchConstraints: { namespaceSelector: {}, ...defaults, ...(matchConstraints as object) } },
        };
  };
  t.deepEqual(await missing(object), []);
});

test('a policy with a validation or a condition that always holds beside others is no fault', async (t) => {
  const object = (path: string): unknown => {
    const { spec } = installed(path);
    const always = { name: 'always', expression: 'true' };
    const { validations, matchConditions = [] } = spec as Readonly<Record<string, readonly object[] | undefined>>;
    return path.includes('bindings/')
      ? installed(path)
      : {
          spec: {
            ...spec,
            validations: [always, ...(validations ?? [])],
            matchConditions: [always, ...matchConditions],
          },
        };
  };
  t.deepEqual(await missing(object), []);
});

test('each object is checked: a missing one is one problem, with its name and the remedy', async (t) => {
  const paths = new Set<string>();
  await missing((path) => (paths.add(path), installed(path)));
  t.is(paths.size, 12);
  for (const gone of paths) {
    const problems = await missing((path) => (path === gone ? undefined : installed(path)));
    t.is(problems.length, 1, gone);
    t.regex(problems.join(), /is not installed: install it again/);
    t.true(problems.join().includes(gone.split('/').at(-1) ?? '-'), problems.join());
  }
});

test('an object that tka may not get is a problem of its rights; an API server that is away is no verdict', async (t) => {
  const failing = (error: Error) =>
    missing(() => {
      throw error;
    });
  const problems = await failing(new ForbiddenError('get', 'namespaces', 'no'));
  t.is(problems.length, 12);
  t.regex(problems.join('\n'), /^tka may not get the CustomResourceDefinition .*: its rights are in /);
  await t.throwsAsync(failing(new ApiUnavailableError('get', 'namespaces', 'ECONNREFUSED')), {
    instanceOf: ApiUnavailableError,
  });
});
