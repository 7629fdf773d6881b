/**
 * What is missing or changed of sessions whose status says ready, by UID. Such a session is not ready. An entry is removed when its
 * objects were seen complete again, or a pass has created what was missing.
 */
import type { ObjectMeta } from '../../crd/tkasignin.ts';
import type { Observed } from './plan.ts';

type Session = Pick<ObjectMeta, 'name' | 'uid'>;

export interface Damage {
  /** Empty where nothing is wrong. The same object until something changes. */
  of(uid: string): Observed;
  /** Something of a session that says it is ready is missing or changed. */
  found(session: Session, observed: Observed): void;
  /** At most one subscriber; it is told of everything found from now on. */
  subscribe(onFound: (session: Session, observed: Observed) => void): void;
  /** One object was seen as desired. */
  seenWhole(uid: string, key: string): void;
  /** A pass has created all of this; what was found since stays. */
  repaired(uid: string, observed: Observed): void;
  forget(uid: string): void;
  forgetAll(): void;
}

const none: Observed = new Map();

/** `onWhole`: called with the name of a session that is complete again. */
export function createDamage(onWhole: (name: string) => void): Damage {
  const known = new Map<string, { readonly name: string; readonly observed: Observed }>();
  let onFound: (session: Session, observed: Observed) => void = () => {};
  const of = (uid: string): Observed => known.get(uid)?.observed ?? none;
  const remove = (uid: string): void => {
    const found = known.get(uid);
    known.delete(uid);
    if (found !== undefined) onWhole(found.name);
  };
  return {
    of,
    found(session, observed) {
      const { name, uid } = session;
      if (observed.size === 0) return;
      known.set(uid, { name, observed: new Map([...of(uid), ...observed]) });
      onFound(session, observed);
    },
    subscribe: (listener) => void (onFound = listener),
    seenWhole(uid, key) {
      const found = known.get(uid);
      const left = new Map(of(uid));
      if (found === undefined || !left.delete(key)) return;
      if (left.size === 0) remove(uid);
      else known.set(uid, { ...found, observed: left });
    },
    repaired(uid, observed) {
      if (known.get(uid)?.observed === observed) remove(uid);
    },
    forget: (uid) => void known.delete(uid),
    forgetAll() {
      for (const uid of known.keys()) remove(uid);
    },
  };
}
