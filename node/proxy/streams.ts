/**
 * What is open, by session, and how to cut it.
 *
 * Every request under way and every spliced connection is in here from before its first byte reaches the API server until
 * both sides are done. `cut` ends all of a session at once; one that is opened for a session which is being cut is cut too,
 * because whoever opens looks at the session after having registered.
 */
/**
 * Ends both sides now. `revoked`: with a last word to the client where the protocol has a place for it; `restart`: as it would
 * end by itself, so that the client comes again.
 */
export type Cut = (reason: string, because: 'revoked' | 'restart') => void;

export interface OpenStream {
  readonly cut: Cut;
  /** It would not end by itself: a watch, a followed log, an upgrade. */
  isLong(): boolean;
  /** Whether its caller may still have it. */
  holds(): Promise<boolean>;
}

export class Streams {
  readonly #bySession = new Map<string, Set<OpenStream>>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  count(uid: string): number {
    return this.#bySession.get(uid)?.size ?? 0;
  }

  /** Returns how to take it out again, which may be called twice. */
  add(uid: string, stream: OpenStream): () => void {
    const streams = this.#bySession.get(uid) ?? new Set();
    this.#bySession.set(uid, streams);
    streams.add(stream);
    this.#total += 1;
    return () => {
      if (!streams.delete(stream)) return;
      this.#total -= 1;
      if (streams.size === 0 && this.#bySession.get(uid) === streams) this.#bySession.delete(uid);
    };
  }

  /** The number of streams that were cut. */
  cut(uid: string, reason: string): number {
    const streams = [...(this.#bySession.get(uid) ?? [])];
    for (const stream of streams) stream.cut(reason, 'revoked');
    return streams.length;
  }

  async recheck(): Promise<void> {
    await Promise.all(
      this.#all().map(async (stream) => {
        if (!(await stream.holds())) stream.cut('the tailnet policy no longer grants it', 'revoked');
      }),
    );
  }

  drain(): void {
    for (const stream of this.#all()) if (stream.isLong()) stream.cut('tka is being restarted', 'restart');
  }

  cutAll(reason: string): void {
    for (const stream of this.#all()) stream.cut(reason, 'restart');
  }

  #all(): OpenStream[] {
    return [...this.#bySession.values()].flatMap((streams) => [...streams]);
  }
}
