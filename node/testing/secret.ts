/**
 * A Secret in memory, with the API server's rules for versions. Tests of what is decided about one; that it is written and
 * guarded as it should be is for the end-to-end tests.
 */
import { pino } from 'pino';
import { ConflictError } from '../../reconciler/errors.ts';
import type { Secret, SecretChange, SecretContent } from '../persistence/secret.ts';
import { SecretError } from '../persistence/secret.ts';

export interface FakeSecret extends Secret {
  content: SecretContent;
  /** Thrown by every call while it is set. */
  trouble: Error | undefined;
  readonly patches: SecretChange[];
  /** As a user with other rights does: without a version. */
  edit(change: Omit<SecretChange, 'resourceVersion'>): void;
}

export function fakeSecret(values: Readonly<Record<string, string>> = {}): FakeSecret {
  let watchers: (() => void)[] = [];
  const secret: FakeSecret = {
    name: 'Secret tka-system/s',
    content: {
      resourceVersion: '1',
      annotations: {},
      values: new Map(Object.entries(values).map(([key, text]) => [key, Buffer.from(text)])),
    },
    trouble: undefined,
    patches: [],
    edit({ annotations = {}, values: changed = new Map<string, Buffer | null>() }) {
      const before = secret.content;
      secret.content = {
        resourceVersion: String(Number(before.resourceVersion) + 1),
        annotations: Object.fromEntries(
          Object.entries({ ...before.annotations, ...annotations }).filter(
            (entry): entry is [string, string] => entry[1] !== null,
          ),
        ),
        values: new Map(
          [...before.values, ...changed].filter(
            (entry): entry is [string, Buffer] => entry[1] !== null && changed.get(entry[0]) !== null,
          ),
        ),
      };
      const told = watchers;
      watchers = [];
      for (const tell of told) tell();
    },
    async read() {
      if (secret.trouble) throw secret.trouble;
      return Promise.resolve(secret.content);
    },
    async patch(change) {
      secret.patches.push(change);
      if (secret.trouble) throw secret.trouble;
      if (change.resourceVersion !== undefined && change.resourceVersion !== secret.content.resourceVersion) {
        throw new ConflictError('patch', 'secrets', 'the object has been modified');
      }
      secret.edit(change);
      return Promise.resolve(secret.content);
    },
    async *watch(signal) {
      for (;;) {
        if (secret.trouble) throw secret.trouble;
        yield secret.content;
        signal.throwIfAborted();
        const changed = Promise.withResolvers<void>();
        watchers.push(changed.resolve);
        // The aborter's reason, as it is.
        signal.addEventListener('abort', () => changed.reject(signal.reason as Error), { once: true });
        await changed.promise;
      }
    },
  };
  return secret;
}

/** A log whose lines a test reads. */
export function listeningLog() {
  const lines: string[] = [];
  const log = pino({ level: 'debug', base: {}, timestamp: false }, { write: (line: string) => void lines.push(line) });
  return { log, lines };
}

export const missing = new SecretError('Secret tka-system/s does not exist');
