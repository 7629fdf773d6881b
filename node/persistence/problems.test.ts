/** What is wrong with what must outlive the process, and what shows that a key was there before, over Secrets in memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Secret } from '@kubernetes/client-node';
import test, { type ExecutionContext } from 'ava';
import { NotFoundError } from '../../reconciler/errors.ts';
import { loadConfig } from '../config/index.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { listeningLog } from '../testing/secret.ts';
import { openPersistence } from './index.ts';
import { ServerKeyError } from './server-key.ts';

const until = async (isSo: () => boolean): Promise<void> => {
  const deadline = AbortSignal.timeout(10_000);
  while (!isSo()) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

interface World {
  readonly secrets: Record<string, Readonly<Record<string, string>>>;
  readonly sessions: readonly object[];
}

/** Of the clients, persistence uses these alone. */
function kubernetesOf(world: World): Kubernetes {
  let version = 1;
  const found = (name: string): V1Secret => {
    const data = world.secrets[name];
    if (data === undefined) throw new NotFoundError('get', 'secrets', `secrets "${name}" not found`);
    return { metadata: { resourceVersion: String(version) }, data };
  };
  return {
    core: {
      readNamespacedSecret: async ({ name }: { name: string }) => found(name),
      async patchNamespacedSecret({ name, body }: { name: string; body: { data?: Record<string, string> } }) {
        const before = found(name);
        version += 1;
        world.secrets[name] = { ...before.data, ...body.data };
        return found(name);
      },
    },
    custom: { listNamespacedCustomObject: async () => ({ items: world.sessions }) },
    async *watch(_path: string, _query: object, signal: AbortSignal) {
      await until(() => signal.aborted || !('key' in world.secrets));
      if (!signal.aborted) yield { type: 'DELETED', object: {} };
    },
  } as unknown as Kubernetes;
}

async function open(t: ExecutionContext, env: Readonly<Record<string, string>>, changes: Partial<World> = {}) {
  const world: World = { secrets: { key: {}, state: {} }, sessions: [], ...changes };
  const { log } = listeningLog();
  const options = { config: loadConfig({ env }).values, kubernetes: kubernetesOf(world), log, onWait: () => {} };
  const opened = await openPersistence(options, new AbortController().signal);
  // It rejects when it is closed, too.
  opened.lost.catch(() => undefined);
  t.teardown(() => opened.close());
  return { world, opened };
}

const inSecrets = { TKA_TAILSCALE_STATE_SECRET: 'state', TKA_API_SERVER_KEY_SECRET: 'key' };

test('in files: a key that is removed while the server runs is a problem', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tka-persistence-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const { opened } = await open(t, { TKA_TAILSCALE_STATE_DIR: directory });
  t.deepEqual(opened.problems(), []);
  rmSync(join(directory, 'server-key'));
  await until(() => opened.problems().length > 0);
  t.regex(opened.problems().join(), /server-key holds no server key/);
});

test('in Secrets: a key that is deleted, and a state that cannot be written, are each a problem', async (t) => {
  const { world, opened } = await open(t, inSecrets);
  t.deepEqual(opened.problems(), []);
  delete world.secrets['key'];
  await until(() => opened.problems().length > 0);
  t.deepEqual([opened.problems().length, /Secret \S+\/key does not exist/.test(opened.problems().join())], [1, true]);
  delete world.secrets['state'];
  // It is given up when the test ends.
  const writing = opened.state?.write('_machinekey', Buffer.from('x'), () => {}).catch(() => undefined);
  await until(() => opened.problems().length > 1);
  t.regex(opened.problems().join('\n'), /Secret \S+\/state/);
  await opened.close();
  await writing;
});

for (const [what, changes, words] of [
  ['a node has joined', { secrets: { key: {}, state: { k: 'dg==' } } }, /holds a node that has joined/],
  ['there are sessions', { sessions: [{}] }, /there are sessions in tka-sessions/],
] as const) {
  test(`in Secrets: an empty key Secret where ${what} is refused`, async (t) => {
    await t.throwsAsync(open(t, inSecrets, changes), { instanceOf: ServerKeyError, message: words });
  });
}
