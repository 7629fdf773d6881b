/**
 * The listeners a program asked for, which outlive engines: each new engine opens them again on the same ports. A
 * listener that cannot be had is told to whoever asked for it, and forgotten. Asked for while there is no engine, it
 * waits for the next.
 */
import type { Server } from 'node:http';
import type { Decider } from './decider.ts';
import { EngineRequestError } from './errors.ts';
import type { TailnetListener } from './node.ts';
import type { EngineAnswer, EngineRequest } from './protocol.ts';

interface Entry {
  readonly name: string;
  readonly port: number;
  readonly tls: boolean;
  readonly decider: Decider | undefined;
  readonly opened: PromiseWithResolvers<void>;
  server?: Server;
}

/** The engine of the moment; undefined between two. */
export interface Callable {
  call(request: EngineRequest): Promise<EngineAnswer>;
}

export class ListenerSet {
  readonly #entries = new Map<string, Entry>();
  readonly #engine: () => Callable | undefined;
  #next = 1;

  constructor(engine: () => Callable | undefined) {
    this.#engine = engine;
  }

  async listen(port: number, tls: boolean, decider?: Decider): Promise<TailnetListener> {
    const entry: Entry = { name: `${this.#next++}`, port, tls, decider, opened: Promise.withResolvers() };
    this.#entries.set(entry.name, entry);
    const engine = this.#engine();
    // One that ends meanwhile is followed by another, which opens it.
    if (engine) this.#open(engine, entry).catch(() => {});
    await entry.opened.promise;
    return {
      port,
      attach: (server) => {
        entry.server = server;
        // Servers start their header and request timeouts when they begin to listen, which this one never does by itself.
        if (!server.listening) server.emit('listening');
      },
      close: async () => {
        this.#entries.delete(entry.name);
        await this.#engine()
          ?.call({ type: 'unlisten', listener: entry.name })
          .catch(() => {});
      },
    };
  }

  /** Rejects with an EngineGoneError. */
  async openAll(engine: Callable): Promise<void> {
    await Promise.all(Array.from(this.#entries.values(), (entry) => this.#open(engine, entry)));
  }

  serverOf(name: string): Server | undefined {
    return this.#entries.get(name)?.server;
  }

  deciderOf(name: string): Decider | undefined {
    return this.#entries.get(name)?.decider;
  }

  /** There will be no engine any more. */
  abandon(reason: Error): void {
    for (const { opened } of this.#entries.values()) opened.reject(reason);
    this.#entries.clear();
  }

  async #open(engine: Callable, { name, port, tls, decider, opened }: Entry): Promise<void> {
    try {
      await engine.call({ type: 'listen', listener: name, port, tls, decide: decider !== undefined });
      opened.resolve();
    } catch (error) {
      if (!(error instanceof EngineRequestError)) throw error;
      this.#entries.delete(name);
      opened.reject(new Error(`cannot listen on tailnet port ${port}: ${error.message}`, { cause: error }));
    }
  }
}
