import test from 'ava';
import { EngineGoneError, JoinError } from './errors.ts';
import type { StateStore, TailnetNode } from './node.ts';
import { start, until } from './testing/node-fixture.ts';

/** A store that keeps what it is told when it is let. */
function store(values: Readonly<Record<string, string>> = {}) {
  const kept = new Map<string, Buffer>(Object.entries(values).map(([key, text]) => [key, Buffer.from(text)] as const));
  const writing = new Map<string, PromiseWithResolvers<void> & { readonly onTrouble: (problem: string) => void }>();
  const state: StateStore = {
    name: 'Secret a/b',
    read: () => Promise.resolve(kept),
    async write(key, value, onTrouble) {
      const write = { ...Promise.withResolvers<void>(), onTrouble };
      writing.set(key, write);
      await write.promise;
      if (value === undefined) kept.delete(key);
      else kept.set(key, value);
    },
  };
  return { state, kept, writing };
}

/** What the fake engine was started with, or has heard of its saves. */
const started = async (node: TailnetNode): Promise<Record<string, unknown>> =>
  JSON.parse((await node.whoIs('start')).nodeName) as Record<string, unknown>;

test('a state that is kept elsewhere is given whole to each engine, and its changes are told by what became of them', async (t) => {
  const { state, kept, writing } = store({ former: 'x', '_serve/1': 'y' });
  const { node, logged } = start(t, '', undefined, { state });
  await node.whenReady();
  const { stateDir, state: given } = await started(node);
  t.deepEqual(given, { former: 'eA==', '_serve/1': 'eQ==' });
  t.regex(String(stateDir), /tsnet-\w+\/engine$/, 'beside the socket, in a private directory');
  t.deepEqual((await node.whoIs('saves')).tags, []);
  writing.get('_machinekey')?.onTrouble('the API server is away');
  writing.get('former')?.resolve();
  writing.get('_machinekey')?.resolve();
  while (kept.has('former') || !kept.has('_machinekey')) await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual((await node.whoIs('saves')).tags, ['1 the API server is away', '2 ', '1 ']);

  await t.throwsAsync(node.whoIs('die'), { instanceOf: EngineGoneError });
  await until(node, ({ restarts, ready }) => restarts === 1 && ready);
  t.deepEqual((await started(node))['state'], { _machinekey: 'cHJpdmtleQ==', '_serve/1': 'eQ==' });
  t.false(logged.some((line) => /privkey|cHJpdmtleQ/.test(line)));
});

test('what will never be kept is told to the engine', async (t) => {
  const { state, writing } = store();
  const { node } = start(t, '', undefined, { state });
  await node.whenReady();
  writing.get('_machinekey')?.reject(new Error('it is too large'));
  while ((await node.whoIs('saves')).tags.length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual((await node.whoIs('saves')).tags, ['1 it is too large']);
});

test('a damaged state is named by what holds it', async (t) => {
  const { node } = start(t, 'damaged', undefined, { state: store().state });
  await t.throwsAsync(node.whenReady(), {
    instanceOf: JoinError,
    message:
      /what Secret a\/b holds is damaged \(_machinekey is no machine key\): restore it from a backup, or empty it/,
  });
});

test('a state that cannot be read starts no engine on another, and is tried again', async (t) => {
  let tries = 0;
  const { state } = store({ a: '1' });
  const read = (): ReturnType<StateStore['read']> => {
    tries += 1;
    return tries < 3 ? Promise.reject(new Error('the API server is away')) : state.read();
  };
  const { node } = start(t, '', undefined, { state: { ...state, read } });
  await until(node, ({ reason = '' }) => reason.includes('the API server is away'));
  await until(node, ({ ready }) => ready);
  t.deepEqual((await started(node))['state'], { a: 'MQ==' });
});

test('how to join is asked anew for each engine', async (t) => {
  let tokens = 0;
  const join = (): Promise<{ clientId: string; idToken: string }> => {
    tokens += 1;
    return Promise.resolve({ clientId: 'k1', idToken: `token-${tokens}` });
  };
  const { node } = start(t, '', undefined, { join });
  await node.whenReady();
  t.like(await started(node), { authKey: '', clientSecret: '', clientId: 'k1', idToken: 'token-1', state: null });
  await t.throwsAsync(node.whoIs('die'), { instanceOf: EngineGoneError });
  await until(node, ({ restarts, ready }) => restarts === 1 && ready);
  t.like(await started(node), { idToken: 'token-2' });
});

const unreadable = { join: () => Promise.reject(new Error('tailscale.authKeyFile: cannot read /key (ENOENT)')) };

test('a node that has joined starts although its credential cannot be read', async (t) => {
  const { node } = start(t, 'joined', undefined, unreadable);
  await node.whenReady();
  t.like(await started(node), { noCredential: 'tailscale.authKeyFile: cannot read /key (ENOENT)', authKey: '' });
});

test('a node that has not joined fails for good with the reason why its credential cannot be read', async (t) => {
  const { node } = start(t, '', undefined, unreadable);
  const error = await t.throwsAsync(node.whenReady(), { instanceOf: JoinError });
  t.like(error.cause, { code: 'NoCredential', message: 'tailscale.authKeyFile: cannot read /key (ENOENT)' });
});
