import test from 'ava';
import { loadConfig } from '../config/index.ts';
import { secretAccess } from './index.ts';
import { describeAccess } from '../kubernetes/access.ts';

const configOf = (env: Readonly<Record<string, string>>) => loadConfig({ env }).values;
const state = { TKA_TAILSCALE_STATE_SECRET: 'tka-0-state' };
const key = { TKA_API_SERVER_KEY_SECRET: 'tka-server-key' };

test('the rights that are asked for are those on the Secrets in use, by name', (t) => {
  t.deepEqual(secretAccess(configOf({})), []);
  t.deepEqual(secretAccess(configOf({ ...state, ...key, TKA_KUBERNETES_NAMESPACE: 'tka-own' })).map(describeAccess), [
    'get secrets tka-0-state in namespace tka-own',
    'patch secrets tka-0-state in namespace tka-own',
    'get secrets tka-server-key in namespace tka-own',
    'watch secrets tka-server-key in namespace tka-own',
    'patch secrets tka-server-key in namespace tka-own',
  ]);
});
