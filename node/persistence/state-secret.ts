/**
 * The tailnet node's state in a Secret. One server at a time claims the Secret, with annotations that it renews: another waits until it
 * is released or no longer renewed, one of the same name (the next run of a pod) takes over at once, and the server that was taken
 * over from ends. Every write is based on a known version of the Secret, so that none overwrites another server's.
 *
 * The state in memory is authoritative: changes are written in one patch at a time, all pending ones together, and retried until they
 * are saved; a Secret that is edited, emptied or recreated while it is claimed is written completely. At the start it is the other way
 * round: a Secret that is not as tka left it is refused.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Clock, sleep } from '../../reconciler/clock.ts';
import { ApiUnavailableError, ConflictError } from '../../reconciler/errors.ts';
import { maxSecretBytes, sealOf, type Secret, type SecretContent } from './secret.ts';
import { claimSecret, holderAnnotations, holderOf, releasing } from './secret-lease.ts';
import { secretKeyOf, stateNameOf } from './state-keys.ts';
import type { StateStore } from '../tsnet/node.ts';

export interface StateSecretOptions {
  readonly secret: Secret;
  /** This server's name among the replicas: the pod's. */
  readonly server: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Called with what the start waits for. */
  readonly onWait: (words: string) => void;
  /** Nothing of the installation is older than this start: a Secret without a node is as it should be. */
  readonly isNewInstallation: boolean;
}

export interface StateSecret extends StateStore {
  /** Rejects with a SecretLostError; never resolves. */
  readonly lost: Promise<never>;
  /** Why the state is not saved, or no longer can be; undefined: it is saved, or the API server is unreachable and nothing is pending. */
  problem(): string | undefined;
  /** Tries once more to save pending changes, and releases the Secret. */
  close(): Promise<void>;
}

/** Another server has claimed the Secret: this one must end, because both would be the same node. */
export class SecretLostError extends Error {
  override readonly name = 'SecretLostError';
}

const renewMs = 15_000;
const retryMs = { first: 1000, longest: 15_000 };

/** Waits for the API server and for another server that holds the Secret. Rejects with a SecretError for a problem with it. */
export async function openStateSecret(options: StateSecretOptions, signal: AbortSignal): Promise<StateSecret> {
  const id = `${options.server}/${randomUUID().slice(0, 8)}`;
  const content = await claimSecret({ ...options, id }, signal);
  const { secret, log } = options;
  const fields = { object: secret.name, holder: id };
  if (content.values.size > 0) log.info(fields, 'the tailnet node of this Secret is used');
  else if (options.isNewInstallation)
    log.info(fields, 'the Secret holds no tailnet node yet: this server joins as a new machine');
  else log.warn(fields, joinsAnew);
  return new HeldSecret(options, id, content);
}

const joinsAnew =
  'the Secret holds no tailnet node, though this installation is not new: this server joins as a new machine. That is expected of an additional replica, and after a first start that was interrupted; a Secret that was lost can be restored from a backup, with the server stopped';

interface Waiting {
  readonly version: number;
  readonly done: PromiseWithResolvers<void>;
  readonly onTrouble: (problem: string) => void;
}

class HeldSecret implements StateSecret {
  readonly #options: StateSecretOptions;
  readonly #id: string;
  readonly #lost = Promise.withResolvers<never>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** By key of the Secret, as desired. */
  readonly #values: Map<string, Buffer>;
  /** The Secret as it was last seen. */
  #seen: SecretContent;
  #version = 0;
  #savedVersion = 0;
  #waiting: Waiting[] = [];
  #trouble = '';
  #isAway = false;
  #wake = Promise.withResolvers<void>();
  #isLost = false;

  constructor(options: StateSecretOptions, id: string, content: SecretContent) {
    this.#options = options;
    this.#id = id;
    this.#seen = content;
    this.#values = new Map(content.values);
    this.#lost.promise.catch(() => {});
    this.#running = this.#run();
  }

  get name(): string {
    return this.#options.secret.name;
  }

  get lost(): Promise<never> {
    return this.#lost.promise;
  }

  problem(): string | undefined {
    if (this.#trouble === '' || (this.#isAway && !this.#isDirty)) return undefined;
    return `${this.name}: the tailnet state is not saved: ${this.#trouble}`;
  }

  read(): Promise<ReadonlyMap<string, Buffer>> {
    return Promise.resolve(new Map([...this.#values].map(([key, value]) => [stateNameOf(key) ?? key, value])));
  }

  async write(name: string, value: Buffer | undefined, onTrouble: (problem: string) => void): Promise<void> {
    if (this.#isLost) throw new SecretLostError(`${this.name} is another server's now`);
    const key = secretKeyOf(name);
    if (value !== undefined) this.#checkSize(key, value);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    this.#version += 1;
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ version: this.#version, done, onTrouble });
    this.#wake.resolve();
    if (this.#trouble !== '') onTrouble(this.#trouble);
    return done.promise;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    if (this.#isLost) return;
    try {
      if (this.#isDirty) await this.#save();
      await this.#options.secret.patch({ resourceVersion: this.#seen.resourceVersion, annotations: releasing }, never);
    } catch (error) {
      const reason = reasonOf(error);
      const lose = this.#isDirty
        ? 'the last changes of the tailnet state are not saved'
        : 'the Secret was not released';
      this.#options.log[this.#isDirty ? 'error' : 'warn']({ object: this.name, reason }, lose);
    }
    for (const { done } of this.#waiting) done.reject(new Error(`${this.name} is closed`));
  }

  get #isDirty(): boolean {
    return this.#savedVersion !== this.#version;
  }

  #checkSize(key: string, value: Buffer): void {
    const others = [...this.#values].filter(([other]) => other !== key);
    const bytes = others.reduce((sum, [, { length }]) => sum + length, value.length);
    if (bytes > maxSecretBytes) {
      throw new RangeError(`${this.name} cannot hold a state of ${bytes} bytes: a Secret takes ${maxSecretBytes}`);
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    for (let pauseMs = renewMs; !this.#closing.signal.aborted;) {
      const rest = sleep(clock, pauseMs, this.#closing.signal).catch(() => {});
      await (this.#trouble === '' ? Promise.race([rest, this.#wake.promise]) : rest);
      if (this.#closing.signal.aborted) return;
      this.#wake = Promise.withResolvers();
      try {
        await this.#save();
        this.#setTrouble('');
        pauseMs = renewMs;
      } catch (error) {
        if (error instanceof SecretLostError) return this.#lose(error);
        this.#isAway = error instanceof ApiUnavailableError;
        pauseMs = this.#trouble === '' ? retryMs.first : Math.min(retryMs.longest, pauseMs * 2);
        this.#setTrouble(reasonOf(error));
      }
    }
  }

  /** Writes pending changes and renews the claim. */
  async #save(): Promise<void> {
    const { secret, log } = this.#options;
    const version = this.#version;
    const values = new Map(this.#values);
    const write = (): Promise<SecretContent> =>
      secret.patch(
        {
          resourceVersion: this.#seen.resourceVersion,
          annotations: { ...holderAnnotations(this.#id, this.#options.clock), ...sealOf(values) },
          values: difference(this.#seen.values, values),
        },
        never,
      );
    try {
      this.#seen = await write();
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const found = await secret.read(never);
      const holder = holderOf(found);
      if (holder !== undefined && holder !== this.#id) {
        throw new SecretLostError(
          `${this.name} was taken over by ${holder}: two servers must not share one; give each its own tailscale.stateSecret`,
          { cause: error },
        );
      }
      if (difference(this.#seen.values, found.values).size > 0) {
        log.warn({ object: this.name }, 'the Secret was changed by someone else: writing it again');
      }
      this.#seen = found;
      this.#seen = await write();
    }
    this.#savedVersion = version;
    const [kept, left] = [[] as Waiting[], [] as Waiting[]];
    for (const waiting of this.#waiting) (waiting.version <= version ? kept : left).push(waiting);
    this.#waiting = left;
    for (const { done } of kept) done.resolve();
  }

  #setTrouble(problem: string): void {
    if (problem === this.#trouble) return;
    this.#trouble = problem;
    const { log } = this.#options;
    if (problem === '') log.info({ object: this.name }, 'the tailnet state is saved again');
    else if (this.#isDirty) log.error({ object: this.name, reason: problem }, 'the tailnet state is not saved');
    else log.warn({ object: this.name, reason: problem }, "cannot renew this server's claim on the Secret");
    if (problem !== '') for (const { onTrouble } of this.#waiting) onTrouble(problem);
  }

  #lose(error: SecretLostError): void {
    this.#isLost = true;
    for (const { done } of this.#waiting) done.reject(error);
    this.#waiting = [];
    this.#lost.reject(error);
  }
}

/** Requests have their own deadline; a stop waits for them. */
const never = new AbortController().signal;

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What makes `before` into `after`; null removes. */
function difference(
  before: ReadonlyMap<string, Buffer>,
  after: ReadonlyMap<string, Buffer>,
): ReadonlyMap<string, Buffer | null> {
  const changes = new Map<string, Buffer | null>();
  for (const [key, value] of after) if (before.get(key)?.equals(value) !== true) changes.set(key, value);
  for (const key of before.keys()) if (!after.has(key)) changes.set(key, null);
  return changes;
}
