import test from 'ava';
import type { Clients } from '../cluster.ts';
import { ApiUnavailableError, ForbiddenError, NotFoundError } from '../errors.ts';
import { createApply } from './apply.ts';

const account = { metadata: { name: 'tka-alice', namespace: 'tka-sessions' } };
const { signal } = new AbortController();
const forbidden = new ForbiddenError('get', 'serviceaccounts', 'no');

/** Of the clients, a delete that is refused uses these two alone. */
function deleteAccount(refusal: Error, namespace: { deletionTimestamp?: Date } | Error): Promise<void> {
  const core = {
    readNamespacedServiceAccount: () => Promise.reject(refusal),
    readNamespace: () =>
      namespace instanceof Error ? Promise.reject(namespace) : Promise.resolve({ metadata: namespace }),
  };
  return createApply({ core } as unknown as Clients).deleteAccount(account, signal);
}

for (const [what, namespace] of [
  ['is being deleted', { deletionTimestamp: new Date(0) }],
  ['is gone', new NotFoundError('get', 'namespaces', 'not found')],
] as const) {
  test(`an account that tka may not delete counts as deleted where its namespace ${what}`, async (t) => {
    await t.notThrowsAsync(deleteAccount(forbidden, namespace));
  });
}

test('an account that tka may not delete in a namespace that stays, or that is not known, is an error', async (t) => {
  await t.throwsAsync(deleteAccount(forbidden, {}), { is: forbidden });
  const away = new ApiUnavailableError('get', 'namespaces', 'ECONNREFUSED');
  await t.throwsAsync(deleteAccount(forbidden, away), { is: away });
});

test('an API server that is away deletes no account, whatever becomes of the namespace', async (t) => {
  const away = new ApiUnavailableError('get', 'serviceaccounts', 'ECONNREFUSED');
  await t.throwsAsync(deleteAccount(away, { deletionTimestamp: new Date(0) }), { is: away });
});
