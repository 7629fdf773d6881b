import test from 'ava';
import * as fc from 'fast-check';
import { isToApplication, targetOf } from './target.ts';

const forwarded: readonly [url: string, target: string][] = [
  ['/k8s', '/'],
  ['/k8s/', '/'],
  ['/k8s?timeout=32s', '/?timeout=32s'],
  ['/k8s/api', '/api'],
  ['/k8s/api/v1/namespaces/dev/pods?limit=500&watch=true', '/api/v1/namespaces/dev/pods?limit=500&watch=true'],
  ['/k8s/apis/', '/apis/'],
  [
    '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=cat+..%2F..%2Fx',
    '/api/v1/namespaces/a/pods/b/exec?command=sh&command=-c&command=cat+..%2F..%2Fx',
  ],
  [
    '/k8s/api/v1/namespaces/a/services/https:web:8443/proxy/a%20b',
    '/api/v1/namespaces/a/services/https:web:8443/proxy/a%20b',
  ],
  ['/k8s/api/v1/namespaces/a/services/web/proxy/...', '/api/v1/namespaces/a/services/web/proxy/...'],
  [
    '/k8s/api/v1/namespaces/a/services/web/proxy//static//x.js?a=//b',
    '/api/v1/namespaces/a/services/web/proxy//static//x.js?a=//b',
  ],
  [
    '/k8s/api/v1/namespaces/a/pods/http%3Aweb%3A80/proxy/get/https:%2F%2Fa.example/',
    '/api/v1/namespaces/a/pods/http%3Aweb%3A80/proxy/get/https:%2F%2Fa.example/',
  ],
  [
    '/k8s/api/v1/namespaces/a/services/web/proxy/x?a=1;b=2&c=100%',
    '/api/v1/namespaces/a/services/web/proxy/x?a=1;b=2&c=100%',
  ],
  [
    '/k8s/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
  ],
];
for (const [url, target] of forwarded) {
  test(`${url} is asked of the API server as ${target}`, (t) => {
    t.is(targetOf(url), target);
  });
}
for (const target of new Set(forwarded.map(([, target]) => target))) {
  test(`${target} is asked of the API server as it is`, (t) => {
    t.is(targetOf(target), target);
  });
}

const refused: readonly string[] = [
  '/k8s/..',
  '/k8s/../api/v1alpha1/login',
  '/k8s/api/../../etc',
  '/k8s/%2e%2e/api',
  '/k8s/%2E%2E/api',
  '/k8s/.%2e/api',
  '/k8s/%252e%252e/api',
  '/k8s/%25252e%25252e/api',
  '/k8s/./api',
  '/k8s/api/%2e/x',
  '/k8s//api',
  '/k8s/api//v1',
  '/k8s//evil.example/',
  '/k8s/api\\..\\x',
  '/k8s/api%5c..%5cx',
  '/k8s/a%2f..%2f..%2fx',
  '/k8s/a%2F%2e%2e%2fx',
  '/k8s/api%00',
  '/k8s/api%0d%0aHost:%20x',
  '/k8s/api%',
  '/k8s/api%zz',
  '/k8s/api#x',
  '/k8s/a b',
  '/k8s/ä',
  '/k8s/api?a=b#c',
  '/k8s/api?a= b',
  '/k8s/api/v1/namespaces/a/services/web/proxy/../../secrets',
  '/k8s/api/v1/namespaces/a/services/web/proxy//..//x',
  '/k8s/api/v1/namespaces/a/services/web/proxy//%2e%2e/x',
  '/k8s/api/v1/namespaces/a/services/web/proxy/a%2F%2F..%2Fx',
  '/k8s/api/v1/namespaces/a/services/web/proxy/a%5c..%5cx',
  '/k8s/api/v1/namespaces/a/services/web/proxy/a%0ab',
  '/k8s/api/v1/namespaces/a//services/web/proxy/x',
  '/k8s/api/v1/namespaces/a/services//proxy/x',
  '/k8s/api/v1/namespaces/a/services/web%2Fstatus/proxy//x',
  '/k8s/api/v1/namespaces/a/pods/b//proxy',
  '/k8s/api/v1/nodes/n/proxy//pods',
  '/k8s//api/v1/namespaces/a/services/web/proxy/x',
];
const refusedAtTheRoot = ['*', 'tka:443', 'https://tka/api', 'k8s/api', '//k8s/api', '//evil.example/api'];
for (const url of [...refused, ...refused.map((url) => url.slice('/k8s'.length)), ...refusedAtTheRoot]) {
  test(`${JSON.stringify(url)} is refused`, (t) => {
    t.throws(() => targetOf(url), { name: 'Refusal', message: /path/ });
  });
}

for (const query of ['command=true;&command=id', 'command=%zz&command=id', 'command=%4', 'command=%', 'command=id&;']) {
  for (const path of ['/api/v1/namespaces/a/pods/b/exec', '/api/v1/nodes/n/proxy/run/a/b/c']) {
    test(`${path}?${query}, which the API server reads otherwise than the audit, is refused`, (t) => {
      t.throws(() => targetOf(`/k8s${path}?${query}`), { name: 'Refusal', message: /query/ });
    });
  }
}

for (const [target, is] of [
  ['/api/v1/namespaces/a/services/web/proxy', true],
  ['/api/v1/namespaces/a/services/web/proxy?x=1', true],
  ['/api/v1/namespaces/a/pods/https:web-0.x:8443/proxy/y', true],
  ['/api/v1/namespaces/a/services/web/proxyx', false],
  ['/api/v1/namespaces/a/services/web', false],
  ['/api/v1/nodes/n/proxy/metrics', false],
  ['/api/v1/namespaces/a/secrets/web/proxy', false],
  ['/api/v1/namespaces/a%2Fsecrets/b/services/web/proxy', false],
  ['/api/v1/namespaces/a/services/web%2Fstatus/proxy', false],
  ['/apis/metrics.k8s.io/v1/namespaces/a/pods/b/proxy', false],
  ['/x?y=/api/v1/namespaces/a/services/web/proxy', false],
] as const) {
  test(`${target} is ${is ? '' : 'not '}an application's`, (t) => {
    t.is(isToApplication(target), is);
  });
}

test('whatever is forwarded stays under the root, decoded as often as anybody may', (t) => {
  const piece = fc.constantFrom(
    '.',
    '..',
    '%2e',
    '%2E',
    '%252e',
    '/',
    '%2f',
    '\\',
    '%5c',
    'a',
    '%61',
    '%',
    '25',
    '//',
    '%00',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      let target: string;
      try {
        target = targetOf(`/k8s/${pieces.join('')}`);
      } catch {
        return;
      }
      let path = target.split('?', 1)[0] ?? '';
      for (let round = 0; round < 5; round += 1) {
        const { pathname } = new URL(path, 'https://api');
        t.is(new URL(`https://api/base${path}`).pathname.startsWith('/base/'), true, target);
        t.true(pathname.startsWith('/'));
        path = path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        if (path.startsWith('//')) t.fail(target);
      }
    }),
    { numRuns: 2000 },
  );
});
