import test from 'ava';
import { describeRequest } from './describe.ts';

const ns = '/api/v1/namespaces';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const table: readonly (readonly [string, string, unknown])[] = [
  ['GET', `${ns}/a/serviceaccounts/b`, { verb: 'get', resource: 'serviceaccounts', namespace: 'a', name: 'b' }],
  ['GET', `${ns}/a/serviceaccounts`, { verb: 'list', resource: 'serviceaccounts', namespace: 'a' }],
  [
    'POST',
    `${ns}/a/serviceaccounts/b/token`,
    { verb: 'create', resource: 'serviceaccounts/token', namespace: 'a', name: 'b' },
  ],
  ['GET', `${ns}/a`, { verb: 'get', resource: 'namespaces', name: 'a' }],
  ['GET', ns, { verb: 'list', resource: 'namespaces' }],
  ['DELETE', `${rbac}/clusterrolebindings/x%3Ay`, { verb: 'delete', resource: 'clusterrolebindings', name: 'x:y' }],
  ['DELETE', `${rbac}/clusterrolebindings`, { verb: 'deletecollection', resource: 'clusterrolebindings' }],
  ['GET', `${rbac}/namespaces/a/rolebindings?watch=true`, { verb: 'watch', resource: 'rolebindings', namespace: 'a' }],
  [
    'PATCH',
    '/apis/tka.specht-labs.de/v1alpha1/namespaces/a/tkasignins/b/status',
    { verb: 'patch', resource: 'tkasignins/status', namespace: 'a', name: 'b' },
  ],
  ['GET', `/k8s/clusters/c-1${ns}/a/pods/p`, { verb: 'get', resource: 'pods', namespace: 'a', name: 'p' }],
  ['GET', '/version', { verb: 'get', resource: '/version' }],
];
for (const [method, path, expected] of table) {
  test(`${method} ${path}`, (t) => {
    t.deepEqual(describeRequest(method, new URL(path, 'https://api')), expected as never);
  });
}
