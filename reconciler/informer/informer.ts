/**
 * Keeps the cache of TkaSignins current: lists, then watches from there, until stopped.
 *
 * An error is retried from the last version seen, with backoff; a version that is too old (410, as a status or inside the stream)
 * and repeated errors lead to a new list. A watch lasts at most 25 s by request, so that one that is half open is recognized by not
 * ending and replaced. A list every 60 s corrects what a watch may have missed. The cache's owner is told of each list, and of
 * objects of another schema.
 */
import type { Logger } from 'pino';
import * as z from 'zod';
import { parseTkaSignin } from '../../crd/parse.ts';
import { group, plural, type TkaSignin, version } from '../../crd/tkasignin.ts';
import type { SigninCache } from './cache.ts';
import { type Clock, sleep } from '../clock.ts';
import { type Cluster, during } from '../cluster.ts';
import { ApiUnavailableError, GoneError } from '../errors.ts';
import { installationProblem, reinstall } from '../kubernetes/installation.ts';

export interface InformerOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly cache: SigninCache;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** After each complete list; the cache has it already. */
  readonly onListed: () => void;
}

const relistMs = 60_000;
/** How often the age of the list is checked. */
const recheckMs = 2000;
/** Consecutive failures after which the installation counts as the cause. */
const sureAfter = 4;
const watchSeconds = 25;
/** After this a watch that should have ended has hung. */
const watchDeadlineMs = 27_000;
const pageSize = 500;

const metaSchema = z.looseObject({ resourceVersion: z.string() });
const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()),
});
const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: z.looseObject({ metadata: metaSchema }) }),
  z.object({ type: z.literal('BOOKMARK'), object: z.object({ metadata: metaSchema }) }),
  z.object({
    type: z.literal('ERROR'),
    object: z.object({ code: z.number().optional(), message: z.string().optional() }),
  }),
]);

export class Informer {
  readonly #options: InformerOptions;
  readonly #stopping = new AbortController();
  #loops: Promise<unknown> | undefined;
  #resourceVersion: string | undefined;
  #lastListAt: number | undefined;
  #lastWatchEventAt: number | undefined;
  #foreign: readonly string[] = [];
  #problem: string | undefined;

  constructor(options: InformerOptions) {
    this.#options = options;
  }

  get lastListAt(): number | undefined {
    return this.#lastListAt;
  }

  get lastWatchEventAt(): number | undefined {
    return this.#lastWatchEventAt;
  }

  /** Why the sessions cannot be listed or watched, where the installation is the cause; undefined after a successful list. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Names of objects in the namespace that do not fit the schema, as of the last list. */
  get foreign(): readonly string[] {
    return this.#foreign;
  }

  start(): void {
    this.#loops = Promise.all([this.#watchForever(), this.#relistForever()]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the informer was stopped'));
    await this.#loops;
  }

  async #watchForever(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#resourceVersion ??= await this.#list(signal);
        const startedAt = this.#options.clock.now();
        await this.#watch(this.#resourceVersion, signal);
        if (this.#options.clock.now() - startedAt < 1000) {
          // A server that ends each watch at once must not be asked in a loop.
          throw new ApiUnavailableError('watch', plural, 'the API server ended the watch at once');
        }
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (error instanceof GoneError || failures >= 3) this.#resourceVersion = undefined;
        await this.#backOff(error, failures, signal);
      }
    }
  }

  async #relistForever(): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        // A clock that is set ahead makes the list old at once, one that is set back leaves it in the future.
        const leftMs = (this.#lastListAt ?? clock.now()) + relistMs - clock.now();
        await sleep(clock, Math.min(recheckMs, Math.max(0, leftMs)), signal);
        // The other loop may have listed meanwhile.
        if (this.#lastListAt === undefined) continue;
        const ageMs = clock.now() - this.#lastListAt;
        if (ageMs < 0 || ageMs >= relistMs) await this.#list(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        await this.#backOff(error, failures, signal);
      }
    }
  }

  async #backOff(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const full = Math.min(5000, 100 * 2 ** Math.min(failures - 1, 10));
    const delayMs = full / 2 + (full / 2) * random();
    const problem = installationProblem(error);
    // An API server that has just started refuses everything for a moment.
    if (failures >= sureAfter) this.#problem = problem;
    if (problem !== undefined) log.error({ err: error, failures }, `${problem}: ${reinstall}`);
    else if (!(error instanceof GoneError)) {
      log.warn({ err: error, failures, delayMs: Math.round(delayMs) }, 'cannot list or watch TkaSignins, trying again');
    }
    try {
      await sleep(clock, delayMs, signal);
    } catch {
      // Stopped: the loops check the signal themselves.
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { cluster, namespace, cache, clock, log, onListed } = this.#options;
    const signins: TkaSignin[] = [];
    const foreign: string[] = [];
    let page: z.infer<typeof listSchema> | undefined;
    do {
      const answer: unknown = await cluster.custom.listNamespacedCustomObject(
        {
          group,
          version,
          namespace,
          plural,
          limit: pageSize,
          ...(page?.metadata.continue === undefined ? {} : { _continue: page.metadata.continue }),
        },
        during(signal),
      );
      page = listSchema.parse(answer);
      for (const item of page.items) {
        const signin = parseTkaSignin(item);
        if (signin === undefined) foreign.push(nameOf(item));
        else signins.push(signin);
      }
    } while (page.metadata.continue !== undefined && page.metadata.continue !== '');
    if (foreign.some((name) => !this.#foreign.includes(name))) {
      log.warn(
        { names: foreign },
        'TkaSignins of another schema are left alone: see `tka-server legacy` for objects of an earlier product',
      );
    }
    this.#foreign = foreign;
    cache.replace(signins, page.metadata.resourceVersion);
    this.#lastListAt = clock.now();
    this.#problem = undefined;
    onListed();
    return page.metadata.resourceVersion;
  }

  async #watch(resourceVersion: string, stopping: AbortSignal): Promise<void> {
    const { cluster, namespace, clock, log } = this.#options;
    const hung = new AbortController();
    const cancel = clock.schedule(() => hung.abort(new Error('the watch has hung')), watchDeadlineMs);
    const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
    const query = { resourceVersion, allowWatchBookmarks: 'true', timeoutSeconds: String(watchSeconds) };
    try {
      for await (const event of cluster.watch(path, query, AbortSignal.any([stopping, hung.signal]))) {
        this.#lastWatchEventAt = clock.now();
        this.#take(event);
      }
    } catch (error) {
      if (!hung.signal.aborted || stopping.aborted) throw error;
      log.warn('a watch of TkaSignins timed out, starting another');
    } finally {
      cancel();
    }
  }

  #take(raw: unknown): void {
    const event = eventSchema.parse(raw);
    if (event.type === 'ERROR') {
      const message = event.object.message ?? 'the watch failed';
      if (event.object.code === 410) throw new GoneError('watch', plural, message);
      throw new ApiUnavailableError('watch', plural, message);
    }
    this.#resourceVersion = event.object.metadata.resourceVersion;
    if (event.type === 'BOOKMARK') return;
    const signin = parseTkaSignin(event.object);
    if (signin === undefined) return;
    if (event.type === 'DELETED') this.#options.cache.deleted(signin);
    else this.#options.cache.watched(signin);
  }
}

function nameOf(item: unknown): string {
  const parsed = z.object({ metadata: z.object({ name: z.string() }) }).safeParse(item);
  return parsed.success ? parsed.data.metadata.name : '(unnamed)';
}
