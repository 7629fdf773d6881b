import type { V1PolicyRule } from '@kubernetes/client-node';
import test from 'ava';
import { probesFor } from './probe.ts';

const pods: V1PolicyRule = { apiGroups: ['', 'x'], resources: ['pods', 'services'], verbs: ['get', 'list'] };
const review: V1PolicyRule = {
  apiGroups: ['authorization.k8s.io'],
  resources: ['selfsubjectaccessreviews'],
  verbs: ['create'],
};
const paths: V1PolicyRule = { nonResourceURLs: ['/metrics'], verbs: ['get'] };

const table: readonly (readonly [string, readonly V1PolicyRule[], readonly string[] | undefined, unknown])[] = [
  [
    'the first resource rule',
    [pods],
    undefined,
    [{ resourceAttributes: { verb: 'get', group: '', resource: 'pods' } }],
  ],
  [
    'once in each namespace of the scope',
    [pods],
    ['a', 'b'],
    [
      { resourceAttributes: { verb: 'get', group: '', resource: 'pods', namespace: 'a' } },
      { resourceAttributes: { verb: 'get', group: '', resource: 'pods', namespace: 'b' } },
    ],
  ],
  [
    'everything, for a role that allows everything',
    [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
    undefined,
    [{ resourceAttributes: { verb: '*', group: '*', resource: '*' } }],
  ],
  [
    'a subresource by itself',
    [{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }],
    undefined,
    [{ resourceAttributes: { verb: 'get', group: '', resource: 'pods', subresource: 'log' } }],
  ],
  [
    'the object a rule is about',
    [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['x', 'y'] }],
    undefined,
    [{ resourceAttributes: { verb: 'get', group: '', resource: 'secrets', name: 'x' } }],
  ],
  [
    'nothing that everybody may anyway',
    [review, pods],
    undefined,
    [{ resourceAttributes: { verb: 'get', group: '', resource: 'pods' } }],
  ],
  ['a path, for a role of paths', [paths], undefined, [{ nonResourceAttributes: { verb: 'get', path: '/metrics' } }]],
  ['no path in a namespace: a RoleBinding gives none', [paths], ['a'], []],
  ['nothing, for a role without rules', [], undefined, []],
  ['nothing, for a role of what everybody may', [review], undefined, []],
];
for (const [title, rules, namespaces, expected] of table) {
  test(`asked is ${title}`, (t) => {
    t.deepEqual(probesFor(rules, namespaces), expected as never);
  });
}
