/** A Lease as the API server keeps it, in memory: versions, conflicts, and what may go wrong on the way there and back. */
import { ApiUnavailableError, ConflictError, NotFoundError } from '../errors.ts';
import type { LeaseSpec, LeaseStore, StoredLease } from '../election/lease.ts';

export interface MemoryLease extends LeaseStore {
  /** As it is now. */
  readonly now: StoredLease | undefined;
  readonly writes: readonly string[];
  /** By hand, as an administrator. */
  edit(change: Partial<LeaseSpec>): void;
  delete(): void;
  /** `replica` sees the same Lease through a connection of its own. */
  from(replica: string): ReplicaView;
}

export interface ReplicaView extends LeaseStore {
  /** `away`: nothing arrives. `deaf`: requests arrive, answers never come. */
  trouble: 'none' | 'away' | 'deaf';
}

export function memoryLease(): MemoryLease {
  let stored: StoredLease | undefined;
  let version = 0;
  const writes: string[] = [];
  const put = (spec: LeaseSpec, annotations: StoredLease['annotations']): StoredLease => {
    version += 1;
    stored = { ...spec, annotations, version: String(version) };
    return stored;
  };
  const store: LeaseStore = {
    read: () => Promise.resolve(stored),
    create(spec) {
      if (stored !== undefined) return Promise.reject(new ConflictError('create', 'leases', 'it is there'));
      return Promise.resolve(put(spec, {}));
    },
    replace(before, spec) {
      if (stored === undefined) return Promise.reject(new NotFoundError('patch', 'leases', 'it is gone'));
      if (stored.version !== before.version) return Promise.reject(new ConflictError('patch', 'leases', 'it changed'));
      return Promise.resolve(put(spec, stored.annotations));
    },
    annotate(changes) {
      if (stored === undefined) return Promise.reject(new NotFoundError('patch', 'leases', 'it is gone'));
      const merged = Object.entries({ ...stored.annotations, ...changes });
      const kept = merged.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));
      return Promise.resolve(put(stored, Object.fromEntries(kept)));
    },
  };
  return {
    ...store,
    get now() {
      return stored;
    },
    writes,
    edit(change) {
      if (stored !== undefined) put({ ...stored, ...change }, stored.annotations);
    },
    delete: () => void (stored = undefined),
    from(replica) {
      const through = async <T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> => {
        signal.throwIfAborted();
        if (view.trouble === 'away') throw new ApiUnavailableError('get', 'leases', 'the API server is away');
        const answer = call();
        if (view.trouble === 'none') return await answer;
        await answer.catch(() => undefined);
        return await new Promise<T>((_resolve, reject) => {
          // The aborter's reason, as it is.
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      };
      const written = <T>(what: string, call: () => Promise<T>) => {
        return async (): Promise<T> => {
          const answer = await call();
          writes.push(`${replica} ${what}`);
          return answer;
        };
      };
      const view: ReplicaView = {
        trouble: 'none',
        read: (signal) => through(signal, () => store.read(signal)),
        create: (spec, signal) =>
          through(
            signal,
            written('creates', () => store.create(spec, signal)),
          ),
        replace: (before, spec, signal) =>
          through(
            signal,
            written(spec.holder === '' ? 'gives back' : 'writes', () => store.replace(before, spec, signal)),
          ),
        annotate: (changes, signal) =>
          through(
            signal,
            written('annotates', () => store.annotate(changes, signal)),
          ),
      };
      return view;
    },
  };
}
