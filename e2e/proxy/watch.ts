/** A Kubernetes watch as a client reads it: its events, and how and when it ended. */
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { until } from '../../dev/stack/until.ts';

export interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly kind?: string;
    readonly message?: string;
    readonly metadata?: { readonly name?: string };
  };
}

export interface WatchEnd {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The answer was complete, as the API server ends a watch at its time. */
  readonly isClean: boolean;
}

export class Watch {
  readonly events: WatchEvent[] = [];
  readonly requestId: string;
  readonly ended: Promise<WatchEnd>;
  readonly #response: IncomingMessage;

  constructor(response: IncomingMessage) {
    this.#response = response;
    this.requestId = String(response.headers['x-request-id']);
    const { promise, resolve } = Promise.withResolvers<WatchEnd>();
    this.ended = promise;
    const end = (): void => resolve({ at: Date.now(), isClean: response.complete });
    // An error is followed by the close.
    response.on('error', () => undefined).once('close', end);
    createInterface({ input: response }).on('line', (line) => this.events.push(JSON.parse(line) as WatchEvent));
  }

  sees(type: string, name: string): Promise<true> {
    return until(() => this.events.some((event) => event.type === type && event.object.metadata?.name === name), {
      what: `${type} of ${name} in a watch`,
      timeoutMs: 10_000,
      everyMs: 10,
    });
  }

  /** Resolves when it has ended; rejects when it goes on. */
  async end(timeoutMs: number): Promise<WatchEnd> {
    let end: WatchEnd | undefined;
    void this.ended.then((value) => (end = value));
    return until(() => end, { what: 'the end of a watch', timeoutMs });
  }

  close(): void {
    this.#response.destroy();
  }
}
