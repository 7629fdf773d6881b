/** Each route that pkg/kubelet/server/server.go registers (Kubernetes 1.36), and those of older kubelets. */
import test from 'ava';
import { isKubeletRead, isKubeletTerminal, kubeletCallIn } from './kubelet.ts';

const reads = [
  '/healthz',
  '/healthz/syncloop',
  '/pods',
  '/stats/summary',
  '/metrics',
  '/metrics/slis',
  '/metrics/cadvisor',
  '/metrics/resource',
  '/metrics/probes',
  '/containerLogs/ns/pod/container',
  '/configz',
  '/runningpods/',
  '/flagz',
  '/statusz',
  '/logs/',
  '/logs/syslog',
  '/debug/pprof/profile',
  // Before 1.20.
  '/spec/',
];
for (const path of reads) {
  test(`GET ${path} of a kubelet is a read, and no other verb is`, (t) => {
    t.true(isKubeletRead('get', path));
    for (const verb of ['create', 'update', 'patch', 'delete']) t.false(isKubeletRead(verb, path), verb);
  });
}

const intoPod: readonly (readonly [path: string, isTerminal: boolean, container: string | undefined])[] = [
  ['/run/ns/pod/c', false, 'c'],
  ['/run/ns/pod/uid/c', false, 'c'],
  ['/exec/ns/pod/c', true, 'c'],
  ['/exec/ns/pod/uid/c', true, 'c'],
  ['/attach/ns/pod/c', true, 'c'],
  ['/attach/ns/pod/uid/c', true, 'c'],
  ['/portForward/ns/pod', false, undefined],
  ['/checkpoint/ns/pod/c', false, 'c'],
];
for (const [path, isTerminal, container] of intoPod) {
  test(`${path} of a kubelet reaches into the pod, by no verb as a read`, (t) => {
    for (const verb of ['get', 'watch', 'create']) t.false(isKubeletRead(verb, path), verb);
    t.is(isKubeletTerminal(path), isTerminal);
    const call = kubeletCallIn(path.split('/').slice(1), new URLSearchParams());
    t.deepEqual([call.pod, call.container], ['ns/pod', container]);
  });
}

test('the port forward of a pod by its UID names no container', (t) => {
  t.deepEqual(kubeletCallIn(['portForward', 'ns', 'pod', 'uid'], new URLSearchParams()), { pod: 'ns/pod' });
});

test('what sets the log level of a kubelet is no read', (t) => {
  t.false(isKubeletRead('update', '/debug/flags/v'));
});
