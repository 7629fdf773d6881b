/**
 * Where a node's state is: a directory, or a store that its owner gave. What the engine saves is handed to that store, and
 * the engine is told what became of it; nothing here logs a value.
 */
import { dirname, join, resolve } from 'node:path';
import type { Engine } from './engine.ts';
import { EngineRequestError } from './errors.ts';
import type { JoinCredential, NodeOptions, StateStore } from './node.ts';
import type { EngineEvent, StartRequest } from './protocol.ts';

/** What an engine starts with, read anew for each. What may be lost lies beside the socket, where its directory is private. */
export async function startFields(
  { stateDir, state, join: credential }: NodeOptions,
  socketPath: string,
): Promise<
  Pick<StartRequest, 'stateDir' | 'state' | 'authKey' | 'clientSecret' | 'clientId' | 'idToken' | 'noCredential'>
> {
  const none = { authKey: '', clientSecret: '', clientId: '', idToken: '' } satisfies JoinCredential;
  const asked = typeof credential === 'function' ? credential() : credential;
  const joining = await Promise.resolve(asked).then(
    (given) => ({ ...none, ...given, noCredential: '' }),
    // The engine knows whether it matters: it does not to a node that has joined.
    (error: unknown) => ({ ...none, noCredential: error instanceof Error ? error.message : String(error) }),
  );
  if (state === undefined) {
    if (stateDir === undefined) throw new TypeError('a node needs stateDir or state');
    return { ...joining, stateDir: resolve(stateDir), state: null };
  }
  const values = [...(await state.read())].map(([key, value]) => [key, value.toString('base64')] as const);
  return { ...joining, stateDir: join(dirname(socketPath), 'engine'), state: Object.fromEntries(values) };
}

/** Resolves when it is kept, or never will be. */
export async function keep(
  store: StateStore,
  engine: Engine,
  { save, key, value }: Extract<EngineEvent, { type: 'save' }>,
): Promise<void> {
  // An engine that has ended need not know any more; the next one starts with what was saved.
  const tell = (problem: string): void => void engine.call({ type: 'saved', save, problem }).catch(() => {});
  try {
    await store.write(key, value === null ? undefined : Buffer.from(value, 'base64'), tell);
    tell('');
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
}

/** The engine knows what is damaged, its owner what it is in. */
export function namingStore(error: unknown, { state, stateDir }: Pick<NodeOptions, 'state' | 'stateDir'>): unknown {
  if (!(error instanceof EngineRequestError) || error.code !== 'StateDamaged') return error;
  return new EngineRequestError(
    error.code,
    `what ${state?.name ?? `the directory ${stateDir ?? ''}`} holds is damaged (${error.message}): restore it from a backup, or empty it to join as a new machine`,
    { cause: error },
  );
}
