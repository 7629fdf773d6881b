/**
 * The server key in a Secret, the same for all servers: made by the first that finds none, watched by all. A rotation is a
 * change of the Secret, from wherever; one that is gone or broken leaves the last key in force.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { type Clock, sleep } from '../reconciler/clock.ts';
import { ApiUnavailableError, ConflictError, ForbiddenError } from '../reconciler/errors.ts';
import { type Secret, type SecretContent, SecretError, sealOf, sealStateOf } from './secret.ts';
import { parseServerKey, ServerKeyError, type WatchedKey } from './server-key.ts';

const keyName = 'server-key';
const retryMs = { first: 500, longest: 15_000 };

export interface ServerKeySecretOptions {
  readonly secret: Secret;
  readonly log: Logger;
  readonly clock: Clock;
  /** Told what a start waits for, in words. */
  readonly onWait: (words: string) => void;
}

export interface SharedKey extends WatchedKey {
  close(): Promise<void>;
}

/** Waits for the API server. Rejects with a SecretError or a ServerKeyError for what an operator must look at. */
export async function openServerKeySecret(options: ServerKeySecretOptions, signal: AbortSignal): Promise<SharedKey> {
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

async function firstKey(options: ServerKeySecretOptions, signal: AbortSignal): Promise<Buffer> {
  const { secret, log, clock, onWait } = options;
  for (let pauseMs = retryMs.first; ;) {
    try {
      const found = await secret.read(signal);
      if (sealStateOf(found) !== 'new') return keyIn(secret, found);
      const made = await secret.patch({ resourceVersion: found.resourceVersion, ...newKey() }, signal);
      log.info({ object: secret.name }, 'a server key was made');
      return keyIn(secret, made);
    } catch (error) {
      signal.throwIfAborted();
      // Another server was quicker; then its key counts.
      if (error instanceof ConflictError) continue;
      if (error instanceof ForbiddenError) {
        throw new SecretError(
          `${error.message}; tka's rights are in manifests/cluster/rbac.yaml, for the Secrets that are made there`,
          { cause: error },
        );
      }
      if (!(error instanceof ApiUnavailableError)) throw error;
      const words = `${secret.name} cannot be read: ${error.message}`;
      onWait(words);
      log.warn({ object: secret.name }, words);
      await sleep(clock, pauseMs, signal);
      pauseMs = Math.min(retryMs.longest, pauseMs * 2);
    }
  }
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
