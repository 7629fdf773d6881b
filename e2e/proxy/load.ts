/**
 * Requests one after another on connections that are kept, until it is stopped; each answer is looked at. Those that do
 * not come (and 503, which says so) are counted, those that break off after they have begun are counted apart.
 */
import { readFileSync } from 'node:fs';
import type { Caller, Entry } from './caller.ts';

export type Check = (status: number, body: string) => boolean;

export class Load {
  right = 0;
  unanswered = 0;
  unavailable = 0;
  brokenOff = 0;
  readonly wrong: string[] = [];
  readonly #stopping = new AbortController();
  readonly #workers: Promise<void>[] = [];

  /** One more connection. */
  add(caller: Caller, entry: Entry, path: string, isRight: Check): void {
    this.#workers.push(this.#work(caller, entry, path, isRight));
  }

  get summary(): string {
    const { right, unanswered, unavailable, brokenOff } = this;
    return `${right} right answers, ${unavailable} of 503, ${brokenOff} broken off, ${unanswered} that did not come`;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#workers);
  }

  async #work(caller: Caller, entry: Entry, path: string, isRight: Check): Promise<void> {
    const ca = readFileSync(caller.caFile, 'utf8');
    while (!this.#stopping.signal.aborted) {
      let status: number | undefined;
      try {
        const headers = { authorization: `Bearer ${entry.token}` };
        // A connection to an engine that was killed stays silent.
        const signal = AbortSignal.timeout(2000);
        const answer = await caller.machine.fetch(`${entry.url}${path}`, { ca, headers, signal });
        ({ status } = answer);
        const body = await answer.text();
        if (status === 503) this.unavailable += 1;
        else if (isRight(status, body)) this.right += 1;
        else this.wrong.push(`${path}: ${status} ${body}`);
      } catch {
        if (status === undefined) this.unanswered += 1;
        else this.brokenOff += 1;
      }
    }
  }
}
