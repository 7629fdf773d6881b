import test from 'ava';
import { engineEnvironment } from './environment.ts';

test('nothing gets into the engine but what is named', (t) => {
  const own = {
    HOME: '/home/alice',
    PATH: '/bin',
    TS_AUTHKEY: 'tskey-secret',
    TS_DEBUG: '1',
    KUBECONFIG: '/secret',
    NODE_OPTIONS: '--inspect',
    HTTPS_PROXY: 'http://proxy:3128',
    SSL_CERT_FILE: '/etc/own.pem',
  };
  t.deepEqual(engineEnvironment({}, own, 0), {
    GOMEMLIMIT: '256MiB',
    TS_NETSTACK_KEEPALIVE_IDLE: '60s',
    TS_NETSTACK_KEEPALIVE_INTERVAL: '15s',
    HTTPS_PROXY: 'http://proxy:3128',
    SSL_CERT_FILE: '/etc/own.pem',
    TS_NO_LOGS_NO_SUPPORT: 'true',
  });
});

test('the CA file given takes the place of the environment’s', (t) => {
  const environment = engineEnvironment({ caFile: '/ca.pem', uploadLogs: true }, { SSL_CERT_FILE: '/etc/own.pem' });
  t.is(environment['SSL_CERT_FILE'], '/ca.pem');
  t.false('TS_NO_LOGS_NO_SUPPORT' in environment);
});

test('the engine may have 256 MiB, or a third of a container that is too small for that', (t) => {
  const limitOf = (bytes: number): string | undefined => engineEnvironment({}, {}, bytes)['GOMEMLIMIT'];
  const mebibyte = 2 ** 20;
  // Unlimited: no cgroup, the first version of cgroups, a machine.
  for (const bytes of [0, 2 ** 63, 64 * 1024 * mebibyte, 768 * mebibyte]) t.is(limitOf(bytes), '256MiB');
  t.is(limitOf(512 * mebibyte), '170MiB');
  t.is(limitOf(10 * mebibyte), '32MiB');
});
