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
  t.deepEqual(engineEnvironment({}, own), {
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
