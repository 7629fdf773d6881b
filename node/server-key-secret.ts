/**
 * The server key in a Secret, the same for all servers: made by the first that finds none, watched by all. A rotation is a
 * change of the Secret, from wherever; one that is gone or broken leaves the last key in force.
 */
import { randomBytes } from 'node:crypto';
import { sleep } from '../reconciler/clock.ts';
import { ApiUnavailableError } from '../reconciler/errors.ts';
import { type Secret, type SecretContent, sealOf, sealStateOf } from './secret.ts';
import { retryMs, type SecretWait, untilDone } from './secret-wait.ts';
import { parseServerKey, ServerKeyError, type WatchedKey } from './server-key.ts';

const keyName = 'server-key';

export interface SharedKey extends WatchedKey {
  close(): Promise<void>;
}

/** Waits for the API server. Rejects with a SecretError or a ServerKeyError for what an operator must look at. */
export async function openServerKeySecret(options: SecretWait, signal: AbortSignal): Promise<SharedKey> {
  const { secret, log, clock } = options;
  let key = await firstKey(options, signal);
  const closing = new AbortController();
  let told = '';
  const follow = async (): Promise<void> => {
    for (let pauseMs = retryMs.first; !closing.signal.aborted;) {
      try {
        for await (const content of secret.watch(closing.signal)) {
          pauseMs = retryMs.first;
          const next = keyIn(secret, content);
          if (!next.equals(key)) log.info({ object: secret.name }, 'the server key is another now');
          key = next;
          told = '';
        }
      } catch (error) {
        if (closing.signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        // A watch ends by itself now and then; a key that is none, or a right that is gone, does not heal by itself.
        if (!(error instanceof ApiUnavailableError) && reason !== told && !isTimeout(error)) {
          log.error({ object: secret.name, reason }, 'the server key was not taken over: the last one is in force');
          told = reason;
        }
        if (!isTimeout(error)) pauseMs = Math.min(retryMs.longest, pauseMs * 2);
      }
      await sleep(clock, pauseMs, closing.signal).catch(() => {});
    }
  };
  const following = follow();
  return {
    current: () => key,
    async close() {
      closing.abort();
      await following;
    },
  };
}

/** Whatever is in the Secret, another key is from now on. */
export async function rotateServerKeySecret(secret: Secret, signal: AbortSignal): Promise<void> {
  await secret.patch(newKey(), signal);
}

async function firstKey(options: SecretWait, signal: AbortSignal): Promise<Buffer> {
  const { secret, log } = options;
  const step = async (): Promise<Buffer> => {
    const found = await secret.read(signal);
    if (sealStateOf(found) !== 'new') return keyIn(secret, found);
    const made = await secret.patch({ resourceVersion: found.resourceVersion, ...newKey() }, signal);
    log.info({ object: secret.name }, 'a server key was made');
    return keyIn(secret, made);
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
