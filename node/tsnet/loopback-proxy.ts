/**
 * The engine's HTTP proxy on loopback, which outlives engines: each new engine opens it again, on the same port and with the
 * same user and password, so that programs that were told of it once go on. Those are chosen here, at random.
 */
import { randomBytes } from 'node:crypto';
import { EngineGoneError, EngineRequestError } from './errors.ts';
import type { Callable } from './listener-set.ts';
import type { TailnetProxy } from './node.ts';

export class LoopbackProxy {
  readonly #engine: () => Callable | undefined;
  readonly #user = randomBytes(6).toString('hex');
  readonly #password = randomBytes(24).toString('base64url');
  #served: PromiseWithResolvers<TailnetProxy> | undefined;
  #port = 0;

  /** `engine`: that of the moment; undefined between two. */
  constructor(engine: () => Callable | undefined) {
    this.#engine = engine;
  }

  /** Where there is no engine, it waits for the next. */
  serve(): Promise<TailnetProxy> {
    if (this.#served) return this.#served.promise;
    this.#served = Promise.withResolvers();
    const engine = this.#engine();
    // One that ends meanwhile is followed by another, which opens it.
    if (engine) this.open(engine).catch(() => {});
    return this.#served.promise;
  }

  /** Content where nobody asked for a proxy. Rejects where one that has been served cannot be had again. */
  async open(engine: Callable): Promise<void> {
    const served = this.#served;
    if (!served) return;
    try {
      const answer = await engine.call({
        type: 'proxy',
        port: this.#port,
        user: this.#user,
        password: this.#password,
      });
      if (answer.type !== 'address') throw new EngineGoneError('the engine gave another answer than was asked for');
      this.#port = Number(answer.address.split(':').at(-1));
      served.resolve({ url: `http://${this.#user}:${this.#password}@${answer.address}` });
    } catch (error) {
      if (!(error instanceof EngineRequestError) || this.#port !== 0) throw error;
      this.#served = undefined;
      served.reject(new Error(`cannot serve a proxy on loopback: ${error.message}`, { cause: error }));
    }
  }

  /** There will be no engine any more. */
  abandon(reason: Error): void {
    // Nobody may be waiting.
    this.#served?.promise.catch(() => {});
    this.#served?.reject(reason);
  }
}
