import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { UserError } from '../errors.ts';
import { createRuntime } from '../testing/runtime.ts';
import { useContext } from './use-context.ts';

const { signal } = new AbortController();

function kubeconfig(contexts: readonly { name: string; server: string; session: string }[]): string {
  const extensionsOf = ({ server, session }: { server: string; session: string }) => [
    { name: 'tka.specht-labs.de/session', extension: { server, session } },
  ];
  return JSON.stringify({
    clusters: contexts.map((one) => ({
      name: one.name,
      cluster: { server: 'https://k', extensions: extensionsOf(one) },
    })),
    users: contexts.map((one) => ({ name: one.name, user: { token: 't', extensions: extensionsOf(one) } })),
    contexts: contexts.map((one) => ({
      name: one.name,
      context: { cluster: one.name, user: one.name, extensions: extensionsOf(one) },
    })),
  });
}

const contexts = [
  { name: 'one', server: 'http://tka-1', session: 'alice-view' },
  { name: 'two', server: 'http://tka-2', session: 'alice-view' },
  // Named as a session is.
  { name: 'alice-view', server: 'http://tka-3', session: 'alice-edit' },
];

test('with a server, a session is the one at that server, though another has one of that name', async (t) => {
  const runtime = createRuntime(t);
  const path = join(runtime.home, 'config');
  writeFileSync(path, kubeconfig(contexts.slice(0, 2)));
  const options = { name: 'alice-view', kubeconfig: path, signal };
  t.is((await useContext(runtime, { ...options, server: 'http://tka-2' })).context, 'two');
  t.is((await useContext(runtime, { ...options, server: 'http://tka-1' })).context, 'one');
  await t.throwsAsync(useContext(runtime, { ...options, server: 'http://tka-9' }), {
    instanceOf: UserError,
    message: /no tka context for "alice-view"/,
  });
});

test('a context of that name goes before a session of that name', async (t) => {
  const runtime = createRuntime(t);
  const path = join(runtime.home, 'config');
  writeFileSync(path, kubeconfig(contexts));
  t.like(await useContext(runtime, { name: 'alice-view', kubeconfig: path, signal }), {
    context: 'alice-view',
    session: 'alice-edit',
    current: true,
  });
});
