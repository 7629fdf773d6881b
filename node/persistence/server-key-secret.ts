/**
 * The server key in a Secret, the same for all servers: created by the first server of a new installation, watched by all. A rotation
 * is any change of the Secret; where the key is gone or invalid, the last one stays in use and a problem is reported. An empty Secret
 * with signs of an earlier key is refused, because a new key would end every kubeconfig for the proxy.
 */
import { randomBytes } from 'node:crypto';
import { sleep } from '../../reconciler/clock.ts';
import { ApiUnavailableError } from '../../reconciler/errors.ts';
import { type Secret, type SecretContent, sealOf, sealStateOf } from './secret.ts';
import { retryMs, type SecretWait, untilDone } from './secret-retry.ts';
import { lost, parseServerKey, ServerKeyError, type WatchedKey } from './server-key.ts';

const keyName = 'server-key';

export interface SharedKeyOptions extends SecretWait {
  /** Evidence of an earlier key; undefined: none, this is a first installation. */
  wasServing(): Promise<string | undefined>;
}

export interface SharedKey extends WatchedKey {
  /** Created by this start: nothing of the installation is older. */
  readonly isNew: boolean;
  close(): Promise<void>;
}

/** Waits for the API server. Rejects with a SecretError or a ServerKeyError for what an operator must look at. */
export async function openServerKeySecret(options: SharedKeyOptions, signal: AbortSignal): Promise<SharedKey> {
  const { secret, log, clock } = options;
  const first = await firstKey(options, signal);
  let { key } = first;
  const closing = new AbortController();
  let told = '';
  const follow = async (): Promise<void> => {
    for (let pauseMs = retryMs.first; !closing.signal.aborted;) {
      try {
        // The watch of a missing Secret has no event.
        take(await secret.read(closing.signal));
        pauseMs = retryMs.first;
        for await (const content of secret.watch(closing.signal)) take(content);
      } catch (error) {
        if (closing.signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        // A watch ends normally now and then; an invalid key or a missing right does not resolve by itself.
        if (!(error instanceof ApiUnavailableError) && reason !== told && !isTimeout(error)) {
          log.error({ object: secret.name, reason }, 'cannot read the server key: the last one stays in use');
          told = reason;
        }
        if (!isTimeout(error)) pauseMs = Math.min(retryMs.longest, pauseMs * 2);
      }
      await sleep(clock, pauseMs, closing.signal).catch(() => {});
    }
  };
  const take = (content: SecretContent): void => {
    const next = keyIn(secret, content);
    if (!next.equals(key)) log.info({ object: secret.name }, 'the server key is another now');
    key = next;
    told = '';
  };
  const following = follow();
  return {
    isNew: first.isNew,
    current: () => key,
    problem: () => (told === '' ? undefined : told),
    async close() {
      closing.abort();
      await following;
    },
  };
}

/** Replaces the key, whatever the Secret contains. */
export async function rotateServerKeySecret(secret: Secret, signal: AbortSignal): Promise<void> {
  await secret.patch(newKey(), signal);
}

interface FirstKey {
  readonly key: Buffer;
  readonly isNew: boolean;
}

async function firstKey(options: SharedKeyOptions, signal: AbortSignal): Promise<FirstKey> {
  const { secret, log } = options;
  const step = async (): Promise<FirstKey> => {
    const found = await secret.read(signal);
    if (sealStateOf(found) !== 'new') return { key: keyIn(secret, found), isNew: false };
    const witness = await options.wasServing();
    if (witness !== undefined) throw lost(secret.name, witness);
    const made = await secret.patch({ resourceVersion: found.resourceVersion, ...newKey() }, signal);
    log.info({ object: secret.name }, 'a server key was made');
    return { key: keyIn(secret, made), isNew: true };
  };
  return await untilDone(options, step, signal);
}

function newKey(): {
  readonly annotations: Readonly<Record<string, string>>;
  readonly values: ReadonlyMap<string, Buffer>;
} {
  const values = new Map([[keyName, Buffer.from(`${randomBytes(32).toString('hex')}\n`)]]);
  return { annotations: sealOf(values), values };
}

function keyIn(secret: Secret, { values }: SecretContent): Buffer {
  const content = values.get(keyName);
  if (content === undefined) {
    throw new ServerKeyError(
      `${secret.name} held a server key and does not any more: restore it, or make a new one with \`tka-server rotate-key\``,
    );
  }
  return parseServerKey(content, secret.name);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}
