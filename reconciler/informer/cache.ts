/**
 * The known TkaSignins: from lists, watch events, and the answers to tka's own writes.
 *
 * The answer to a write may arrive before or after the watch event of the same write. Rules: of two versions of an object the one
 * with the higher resource version stays; an answer that the watch has already passed does not bring back an object that the watch
 * deleted; an object whose finalizer tka removed is not shown again by events that were under way.
 */
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { withSignal } from '../clock.ts';

export interface CacheEvents {
  /** `before` is undefined for a new object. */
  readonly onChange: (signin: TkaSignin, before: TkaSignin | undefined) => void;
  /** `released`: tka removed its finalizer, after removing everything that belongs to it. Otherwise something else deleted it. */
  readonly onGone: (signin: TkaSignin, how: 'released' | 'vanished') => void;
}

export class SigninCache {
  #events: CacheEvents | undefined;
  readonly #signins = new Map<string, TkaSignin>();
  readonly #released = new Set<string>();
  /** UIDs of objects whose finalizer tka is removing: the watch event may arrive before the answer. */
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

  /** A watch event with the object's current version. */
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

  /** The answer to a write or a read by tka. */
  written(signin: TkaSignin): void {
    const known = this.#signins.get(signin.metadata.name)?.metadata.uid === signin.metadata.uid;
    if (!known && revision(signin.metadata.resourceVersion) <= this.#seen) return;
    this.#put(signin);
  }

  /** tka removed the last finalizer of this object: it is gone, whatever the watch still delivers. */
  released(signin: TkaSignin): void {
    this.#released.add(signin.metadata.uid);
    this.#drop(signin, 'released');
  }

  /** Runs the write that removes tka's finalizer: if the object disappears meanwhile, it was released. Everything that belongs to it is removed by then. */
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
      // Objects newer than the list may be missing in it.
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

  /** Runs the checks of until() for this session again, though the object is unchanged. */
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
