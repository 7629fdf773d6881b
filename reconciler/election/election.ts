/**
 * Leader election over a Lease, with client-go's rules: one of several replicas works on the sessions.
 *
 * A replica leads for `renewDeadlineMs` from when its last successful write of the Lease was sent. Another replica takes the
 * Lease after it has seen it unchanged for its whole duration, which is longer. Each replica counts by its own clock from what it
 * observed; times written in the Lease are never compared with a clock. So two replicas never lead at once as long as no clock runs
 * a third too slow or too fast and the Lease is not deleted or edited by hand; after that two may lead until the next renewal.
 *
 * Leadership is a term: its signal aborts when it ends, and `check()` reads the clock itself, because a process that was suspended
 * finds its timers late when it resumes. A term that has ended never resumes. While the API server answers, a new term begins within
 * `leaseDuration + retry`. The caller that starts an election stops it.
 */
import type { Logger } from 'pino';
import { reinstall } from '../kubernetes/installation.ts';
import { type Clock, sleep } from '../clock.ts';
import { ConflictError, ForbiddenError, NotFoundError, NotLeadingError } from '../errors.ts';
import type { LeaseSpec, LeaseStore, StoredLease } from './lease.ts';

export interface ElectionOptions {
  readonly store: LeaseStore;
  /** Differs between replicas. A restarted replica may use its old identity if the old process is certainly dead, and then leads at once. */
  readonly identity: string;
  readonly leaseMs?: number;
  /** A leader that cannot renew for so long steps down. */
  readonly renewDeadlineMs?: number;
  /** Longest pause before another attempt. */
  readonly retryMs?: number;
  /** Called with each term of this replica; the signal is the term's. */
  readonly onLead: (term: AbortSignal) => void;
  /** What this replica publishes on the Lease for the others; undefined while it has nothing to publish. */
  readonly card?: () => { readonly key: string; readonly value: string } | undefined;
  /** Only forward (createElapsedClock). */
  readonly clock: Clock;
  /** For people. */
  readonly date?: () => Date;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
}

/** With less, a busy API server would look unreachable. */
const leastTryMs = 1500;

export class Election {
  readonly #options: Required<ElectionOptions>;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #seen: StoredLease | undefined;
  #seenAt = 0;
  /** When the last write that succeeded was sent. */
  #renewedAt = -Infinity;
  #term: AbortController | undefined;
  #cancelDeadline = (): void => {};
  #told = '';

  constructor(options: ElectionOptions) {
    this.#options = {
      leaseMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2000,
      card: () => undefined,
      date: () => new Date(),
      ...options,
    };
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** This replica's term, aborted when it ends; undefined while another replica leads. */
  get term(): AbortSignal | undefined {
    if (this.#term !== undefined && this.#isOver()) this.#lose('the Lease was not renewed in time');
    return this.#term?.signal;
  }

  /** What the replicas have published about themselves, as last read. */
  get cards(): Readonly<Record<string, string>> {
    return this.#seen?.annotations ?? {};
  }

  /** Throws a NotLeadingError unless this replica leads now. */
  check(): void {
    if (this.term === undefined) throw new NotLeadingError('this replica does not lead, or may no longer');
  }

  /** Releases the Lease, so that another replica leads at once: all work of the term must have ended before. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the election was stopped'));
    await this.#loop;
    if (this.term === undefined) return;
    this.#lose('this replica stops');
    try {
      await this.#withDeadline(async (signal) => await this.#release(signal), new AbortController().signal);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'cannot release the Lease: another replica leads when it expires');
    }
  }

  async #run(): Promise<void> {
    const { clock, random, retryMs, renewDeadlineMs, leaseMs } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const isRenewed = await this.#attempt();
      // Renewing twice a deadline leaves room for a try that fails; the others read more often, to notice a released Lease quickly.
      const pauseMs = isRenewed ? Math.min(renewDeadlineMs, leaseMs) / 2 : retryMs * (0.6 + 0.4 * random());
      await sleep(clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** Whether this replica holds the Lease by a write it has just made. */
  async #attempt(): Promise<boolean> {
    if (this.#term !== undefined && this.#isOver()) this.#lose('the Lease was not renewed in time');
    const stopping = this.#stopping.signal;
    let isRenewed = false;
    try {
      isRenewed = await this.#withDeadline(async (signal) => await this.#acquire(signal), stopping);
      await this.#withDeadline(async (signal) => await this.#showCard(signal), stopping);
      this.#told = '';
    } catch (error) {
      if (!stopping.aborted && !(error instanceof ConflictError)) this.#complain(error);
    }
    return isRenewed;
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { store, identity } = this.#options;
    // The leader knows its last write, and reads the Lease only after a conflict.
    const own = this.#term !== undefined && this.#seen?.holder === identity ? this.#seen : undefined;
    if (own !== undefined) {
      try {
        return await this.#write((spec) => store.replace(own, spec, signal), own);
      } catch (error) {
        if (!(error instanceof ConflictError || error instanceof NotFoundError)) throw error;
      }
    }
    const found = await store.read(signal);
    if (found === undefined) {
      this.#lose('the Lease was deleted');
      return await this.#write((spec) => store.create(spec, signal), undefined);
    }
    this.#see(found);
    // Another replica may have led in between, even if only briefly.
    if (own !== undefined && (found.holder !== own.holder || found.transitions !== own.transitions)) {
      this.#lose(`the Lease was taken by ${found.holder === '' ? 'no replica' : found.holder}`);
    }
    const isForeign = found.holder !== '' && found.holder !== identity;
    if (isForeign && this.#options.clock.now() < this.#seenAt + this.#durationOf(found)) return false;
    return await this.#write((spec) => store.replace(found, spec, signal), found);
  }

  async #write(put: (spec: LeaseSpec) => Promise<StoredLease>, before: StoredLease | undefined): Promise<boolean> {
    const { clock, identity, leaseMs, date } = this.#options;
    const sentAt = clock.now();
    const now = date().toISOString();
    const isOwn = before?.holder === identity;
    this.#see(
      await put({
        holder: identity,
        durationMs: leaseMs,
        acquiredAt: isOwn && before.acquiredAt !== '' ? before.acquiredAt : now,
        renewedAt: now,
        transitions: (before?.transitions ?? 0) + (isOwn ? 0 : 1),
      }),
    );
    this.#renewedAt = sentAt;
    if (this.#isOver()) {
      // Stopped while the answer was under way: others may have taken over since.
      this.#lose('the Lease was not renewed in time');
      return false;
    }
    this.#arm();
    this.#lead();
    return true;
  }

  #see(lease: StoredLease): void {
    const { clock, identity, log } = this.#options;
    const before = this.#seen;
    this.#seen = lease;
    // As client-go: only a change of the record counts as a renewal, not a change of others' annotations.
    if (before !== undefined && recordOf(before) === recordOf(lease)) return;
    this.#seenAt = clock.now();
    if (before?.holder !== lease.holder && lease.holder !== identity && lease.holder !== '') {
      log.info({ leader: lease.holder }, 'another replica leads');
    }
  }

  #lead(): void {
    if (this.#term !== undefined) return;
    this.#term = new AbortController();
    this.#options.log.info({ identity: this.#options.identity }, 'this replica leads');
    this.#options.onLead(this.#term.signal);
  }

  #lose(why: string): void {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    this.#cancelDeadline();
    if (!this.#stopping.signal.aborted) this.#options.log.warn({ why }, 'this replica no longer leads');
    term.abort(new NotLeadingError(`this replica no longer leads: ${why}`));
  }

  #isOver(): boolean {
    return this.#options.clock.now() >= this.#renewedAt + this.#options.renewDeadlineMs;
  }

  #arm(): void {
    const { clock, renewDeadlineMs } = this.#options;
    this.#cancelDeadline();
    const leftMs = this.#renewedAt + renewDeadlineMs - clock.now();
    this.#cancelDeadline = clock.schedule(() => {
      // A timer may be early by a fraction of a millisecond.
      if (this.#isOver()) this.#lose('the Lease was not renewed in time');
      else this.#arm();
    }, leftMs);
  }

  /** A value written by hand must not stop every replica for days. */
  #durationOf({ durationMs }: StoredLease): number {
    return Math.min(durationMs, Math.max(this.#options.leaseMs, 60_000));
  }

  async #showCard(signal: AbortSignal): Promise<void> {
    const card = this.#options.card();
    const shown = this.cards;
    if (card === undefined || shown[card.key] === card.value) return;
    // Another key with the same value is left from an earlier run of this replica.
    const former = Object.keys(shown).filter((key) => shown[key] === card.value);
    const changes = { ...Object.fromEntries(former.map((key) => [key, null])), [card.key]: card.value };
    this.#see(await this.#options.store.annotate(changes, signal));
  }

  async #release(signal: AbortSignal): Promise<void> {
    const { store, identity, date } = this.#options;
    const free = async (before: StoredLease): Promise<void> => {
      const now = date().toISOString();
      const { transitions } = before;
      await store.replace(
        before,
        { holder: '', durationMs: 1000, acquiredAt: now, renewedAt: now, transitions },
        signal,
      );
    };
    try {
      if (this.#seen !== undefined) await free(this.#seen);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // A renewal that was cut off may still have arrived.
      const found = await store.read(signal);
      if (found?.holder === identity) await free(found);
    }
  }

  /** An attempt that hangs must leave time for another before the deadline. */
  async #withDeadline<T>(work: (signal: AbortSignal) => Promise<T>, outer: AbortSignal): Promise<T> {
    const { clock, renewDeadlineMs } = this.#options;
    const late = new AbortController();
    const cancel = clock.schedule(
      () => late.abort(new Error('the API server did not answer in time')),
      Math.max(leastTryMs, renewDeadlineMs / 4),
    );
    try {
      return await work(AbortSignal.any([outer, late.signal]));
    } finally {
      cancel();
    }
  }

  /** Once for consecutive errors of one kind. */
  #complain(error: unknown): void {
    const kind = error instanceof Error ? error.name : String(error);
    if (kind === this.#told) return;
    this.#told = kind;
    const remedy =
      error instanceof ForbiddenError
        ? `tka may not ${error.verb} leases, so no replica works on the sessions: ${reinstall}`
        : 'cannot renew the Lease, trying again';
    this.#options.log[error instanceof ForbiddenError ? 'error' : 'warn']({ err: error }, remedy);
  }
}

function recordOf({ holder, durationMs, acquiredAt, renewedAt, transitions }: LeaseSpec): string {
  return JSON.stringify([holder, durationMs, acquiredAt, renewedAt, transitions]);
}
