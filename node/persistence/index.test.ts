import test from 'ava';
import { loadConfig } from '../config/index.ts';
import { keptAccess, keptProblems } from './index.ts';
import { describeAccess } from '../kubernetes/preflight.ts';

const configOf = (env: Readonly<Record<string, string>>) => loadConfig({ env }).values;
const problemsOf = (env: Readonly<Record<string, string>>) => keptProblems(loadConfig({ env }));
const state = { TKA_TAILSCALE_STATE_SECRET: 'tka-0-state' };
const key = { TKA_API_SERVER_KEY_SECRET: 'tka-server-key' };

for (const env of [{}, key, { ...state, ...key }]) {
  test(`${Object.values(env).join(' and ') || 'no Secret'} can be meant`, (t) => {
    t.deepEqual(problemsOf(env), []);
  });
}

test('a state in a Secret and a server key in files is refused, with the remedy', (t) => {
  const [problem, ...others] = problemsOf(state);
  t.deepEqual(others, []);
  t.regex(
    problem?.message ?? '',
    /^tailscale\.stateSecret \(environment TKA_TAILSCALE_STATE_SECRET\) without api\.serverKeySecret: .*tka-server-key.*TKA_API_SERVER_KEY_SECRET/,
  );
});

test('one Secret for both is refused', (t) => {
  const [problem] = problemsOf({ ...state, TKA_API_SERVER_KEY_SECRET: 'tka-0-state' });
  t.regex(problem?.message ?? '', /are the same Secret/);
});

test('the rights that are asked for are those on the Secrets in use, by name', (t) => {
  t.deepEqual(keptAccess(configOf({})), []);
  t.deepEqual(keptAccess(configOf({ ...state, ...key, TKA_KUBERNETES_NAMESPACE: 'tka-own' })).map(describeAccess), [
    'get secrets tka-0-state in namespace tka-own',
    'patch secrets tka-0-state in namespace tka-own',
    'get secrets tka-server-key in namespace tka-own',
    'watch secrets tka-server-key in namespace tka-own',
    'patch secrets tka-server-key in namespace tka-own',
  ]);
});
