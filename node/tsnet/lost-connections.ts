/**
 * The connections that ended with an engine: the next one ends them for their callers, who would wait on them otherwise. Those
 * that closed just before the engine was found to be gone count too: a dead process' sockets close before its exit is reported.
 */
import type { LostConnection } from './protocol.ts';

/** As many as an engine accepts. */
const mostRemembered = 4096;
const justClosedMs = 5000;
/** After this long a caller has given up, or sent something and been answered with a reset. */
const forgottenAfterMs = 10 * 60_000;

export class LostConnections {
  readonly #nowMs: () => number;
  readonly #open = new Set<LostConnection>();
  readonly #closed: { readonly connection: LostConnection; readonly atMs: number }[] = [];
  #lost: { readonly connection: LostConnection; readonly atMs: number }[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Those to be ended by the next engine. */
  get all(): LostConnection[] {
    const since = this.#nowMs() - forgottenAfterMs;
    return this.#lost.filter(({ atMs }) => atMs > since).map(({ connection }) => connection);
  }

  /** Returns what to call once, when it has closed. */
  opened({ source, destination }: LostConnection): () => void {
    const connection = { source, destination };
    this.#open.add(connection);
    return () => {
      if (!this.#open.delete(connection)) return;
      const atMs = this.#nowMs();
      this.#closed.push({ connection, atMs });
      while (this.#closed.length > mostRemembered || (this.#closed[0]?.atMs ?? atMs) < atMs - justClosedMs)
        this.#closed.shift();
    };
  }

  engineGone(): void {
    const atMs = this.#nowMs();
    const closed = this.#closed.filter((entry) => entry.atMs > atMs - justClosedMs);
    const open = Array.from(this.#open, (connection) => ({ connection, atMs }));
    this.#open.clear();
    this.#closed.length = 0;
    this.#lost = [...this.#lost, ...closed, ...open].slice(-mostRemembered);
  }
}
