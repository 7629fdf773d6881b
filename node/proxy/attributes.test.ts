import test from 'ava';
import { type Attributes, attributesOf } from './attributes.ts';

const requests: readonly [method: string, target: string, isUpgrade: boolean, expected: Attributes][] = [
  ['GET', '/api/v1/pods', false, { verb: 'list', resource: 'pods', isStream: false }],
  [
    'GET',
    '/api/v1/namespaces/dev/pods/a',
    false,
    { verb: 'get', resource: 'pods', namespace: 'dev', name: 'a', isStream: false },
  ],
  ['GET', '/api/v1/namespaces', false, { verb: 'list', resource: 'namespaces', isStream: false }],
  [
    'GET',
    '/api/v1/namespaces/dev',
    false,
    { verb: 'get', resource: 'namespaces', namespace: 'dev', name: 'dev', isStream: false },
  ],
  [
    'PUT',
    '/api/v1/namespaces/dev/finalize',
    false,
    { verb: 'update', resource: 'namespaces', subresource: 'finalize', namespace: 'dev', name: 'dev', isStream: false },
  ],
  [
    'POST',
    '/apis/apps/v1/namespaces/dev/deployments',
    false,
    { verb: 'create', group: 'apps', resource: 'deployments', namespace: 'dev', isStream: false },
  ],
  [
    'DELETE',
    '/apis/apps/v1/namespaces/dev/deployments',
    false,
    { verb: 'deletecollection', group: 'apps', resource: 'deployments', namespace: 'dev', isStream: false },
  ],
  [
    'PATCH',
    '/apis/apps/v1/namespaces/dev/deployments/web/scale',
    false,
    {
      verb: 'patch',
      group: 'apps',
      resource: 'deployments',
      subresource: 'scale',
      namespace: 'dev',
      name: 'web',
      isStream: false,
    },
  ],
  ['GET', '/api/v1/pods?watch=true', false, { verb: 'watch', resource: 'pods', isStream: true }],
  ['GET', '/api/v1/pods?watch=1', false, { verb: 'watch', resource: 'pods', isStream: true }],
  ['GET', '/api/v1/pods?watch=false', false, { verb: 'list', resource: 'pods', isStream: false }],
  [
    'GET',
    '/api/v1/watch/namespaces/dev/pods',
    false,
    { verb: 'watch', resource: 'pods', namespace: 'dev', isStream: true },
  ],
  [
    'GET',
    '/api/v1/namespaces/dev/pods/a/log?follow=true',
    false,
    { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'dev', name: 'a', isStream: true },
  ],
  ['GET', '/version', false, { verb: 'get', path: '/version', isStream: false }],
  ['GET', '/apis', false, { verb: 'get', path: '/apis', isStream: false }],
  ['GET', '/apis/apps/v1', false, { verb: 'get', path: '/apis/apps/v1', isStream: false }],
  [
    'GET',
    '/api/v1/namespaces/dev/pods/a/exec?command=sh&command=-c&command=echo+1&stdin=true',
    true,
    {
      verb: 'get',
      resource: 'pods',
      subresource: 'exec',
      namespace: 'dev',
      name: 'a',
      isStream: true,
      command: ['sh', '-c', 'echo 1'],
    },
  ],
];
for (const [method, target, isUpgrade, expected] of requests) {
  test(`${method} ${target} is told as ${expected.verb} of ${expected.resource ?? expected.path ?? ''}`, (t) => {
    t.deepEqual(attributesOf(method, target, isUpgrade), expected);
  });
}
