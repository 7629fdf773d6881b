/**
 * The TkaSignins as far as they are known: what lists and watches said, and the answers to our own writes.
 *
 * Our own writes arrive on another path than the watch, before or after it. The rules that keep them in order:
 * of two versions of an object the one with the higher resource version stays; a write's answer that the watch has
 * already passed does not bring back an object the watch deleted; an object we released for good is not shown again by
 * events that were under way.
 */
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { withSignal } from '../clock.ts';

export interface CacheEvents {
  /** `before` is undefined for one that is new. */
  readonly onChange: (signin: TkaSignin, before: TkaSignin | undefined) => void;
  /** `released`: we took the last hold off it, with everything of it removed. Otherwise somebody else did something. */
  readonly onGone: (signin: TkaSignin, how: 'released' | 'vanished') => void;
}

export class SigninCache {
  #events: CacheEvents | undefined;
  readonly #signins = new Map<string, TkaSignin>();
  readonly #released = new Set<string>();
  /** UIDs of those whose last hold is being taken off by us: the watch may tell of it before the answer comes. */
  readonly #releasing = new Set<string>();
  readonly #waiters = new Map<string, Set<() => void>>();
  /** The highest resource version that a list or the watch has shown. */
  #seen = 0n;

  /** At most one subscriber; it is told of every change from now on. */
  subscribe(events: CacheEvents): void {
    this.#events = events;
  }

  get(name: string): TkaSignin | undefined {
    return this.#signins.get(name);
  }

  list(): readonly TkaSignin[] {
    return [...this.#signins.values()];
  }

  /** An event of the watch: this is how the object is now. */
  watched(signin: TkaSignin): void {
    this.#advance(signin.metadata.resourceVersion);
    this.#put(signin);
  }

  /** The watch says that this object is gone. */
  deleted(signin: TkaSignin): void {
    this.#advance(signin.metadata.resourceVersion);
    this.#released.delete(signin.metadata.uid);
    this.#drop(signin, 'vanished');
  }

  /** The answer to a write or a read of ours. */
  written(signin: TkaSignin): void {
    const known = this.#signins.get(signin.metadata.name)?.metadata.uid === signin.metadata.uid;
    if (!known && revision(signin.metadata.resourceVersion) <= this.#seen) return;
    this.#put(signin);
  }

  /** We have taken the last hold off this object: it is gone, whatever the watch still has to tell of it. */
  released(signin: TkaSignin): void {
    this.#released.add(signin.metadata.uid);
    this.#drop(signin, 'released');
  }

  /** Runs what takes our last hold off this object: if it goes meanwhile, it was released. Everything of it is removed by then. */
  async whileReleasing<T>({ metadata: { uid } }: TkaSignin, work: () => Promise<T>): Promise<T> {
    this.#releasing.add(uid);
    try {
      return await work();
    } finally {
      this.#releasing.delete(uid);
    }
  }

  /** A whole list, as of `resourceVersion`. */
  replace(signins: readonly TkaSignin[], resourceVersion: string): void {
    this.#advance(resourceVersion);
    const listed = new Set<string>();
    for (const signin of signins) {
      listed.add(signin.metadata.uid);
      this.#put(signin);
    }
    for (const signin of this.list()) {
      // What is newer than the list may well be missing in it.
      const newer = revision(signin.metadata.resourceVersion) > revision(resourceVersion);
      if (!listed.has(signin.metadata.uid) && !newer) this.#drop(signin, 'vanished');
    }
    for (const uid of this.#released) if (!listed.has(uid)) this.#released.delete(uid);
  }

  /** Resolves with the first result of `check` that is not undefined; asked now and after each change of the session. */
  async until<T>(
    name: string,
    check: (signin: TkaSignin | undefined) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      const result = check(this.#signins.get(name));
      if (result !== undefined) return result;
      await this.#nextChange(name, signal);
    }
  }

  /** Asks those who wait for this session again, though the object is the same. */
  touch(name: string): void {
    this.#wake(name);
  }

  async #nextChange(name: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiters = this.#waiters.get(name) ?? new Set();
    waiters.add(resolve);
    this.#waiters.set(name, waiters);
    try {
      await withSignal(promise, signal);
    } finally {
      waiters.delete(resolve);
      if (waiters.size === 0 && this.#waiters.get(name) === waiters) this.#waiters.delete(name);
    }
  }

  #advance(resourceVersion: string): void {
    const seen = revision(resourceVersion);
    if (seen > this.#seen) this.#seen = seen;
  }

  #put(signin: TkaSignin): void {
    if (this.#released.has(signin.metadata.uid)) return;
    const { name, uid, resourceVersion } = signin.metadata;
    const before = this.#signins.get(name);
    if (before !== undefined && revision(before.metadata.resourceVersion) >= revision(resourceVersion)) return;
    this.#signins.set(name, signin);
    const namesake = before !== undefined && before.metadata.uid !== uid;
    if (namesake) this.#events?.onGone(before, 'vanished');
    this.#events?.onChange(signin, namesake ? undefined : before);
    this.#wake(name);
  }

  #drop(signin: TkaSignin, how: 'released' | 'vanished'): void {
    const before = this.#signins.get(signin.metadata.name);
    if (before?.metadata.uid !== signin.metadata.uid) return;
    this.#signins.delete(signin.metadata.name);
    this.#events?.onGone(before, this.#releasing.has(before.metadata.uid) ? 'released' : how);
    this.#wake(signin.metadata.name);
  }

  #wake(name: string): void {
    const waiters = this.#waiters.get(name);
    this.#waiters.delete(name);
    for (const wake of waiters ?? []) wake();
  }
}

/** Resource versions of one resource are decimal and ordered (KEP-5504); anything else counts as oldest. */
function revision(resourceVersion: string): bigint {
  return /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n;
}
