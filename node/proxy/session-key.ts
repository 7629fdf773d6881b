/**
 * The proxy's token, `tka_<session>_<key>`: which session is meant, and 128 bits that only the server can make for it.
 *
 * The key is an HMAC of the session's UID, so it dies with the session although its name comes back, and all keys die with the
 * server's. It opens nothing by itself: the caller must also be the session's subject (index.ts).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export interface SessionKeys {
  token(session: { readonly name: string; readonly uid: string }): string;
  /** In constant time; `uid` is undefined where there is no such session, which takes as long and is false. */
  isKeyOf(key: string, uid: string | undefined): boolean;
}

const maxMade = 10_000;

/** The name and the key in a token, unverified; undefined where it is none of ours. */
export function readToken(token: string): { readonly session: string; readonly key: string } | undefined {
  const match = /^tka_([a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?)_([0-9a-f]{32})$/.exec(token);
  const [, session, key] = match ?? [];
  return session === undefined || key === undefined ? undefined : { session, key };
}

/** `serverKey`: at least 32 bytes, from tka's state; asked for each time, because it may be rotated. */
export function createSessionKeys(serverKey: () => Buffer): SessionKeys {
  // Stands for a session that is not there, so that its refusal takes the same steps.
  const nobody = randomBytes(16).toString('hex');
  // A request costs little more than this MAC, and a session makes many.
  const made = new Map<string, Buffer>();
  let madeWith: Buffer | undefined;
  const keyOf = (uid: string): Buffer => {
    const current = serverKey();
    if (madeWith === undefined || !current.equals(madeWith) || made.size > maxMade) made.clear();
    madeWith = current;
    let key = made.get(uid);
    if (key === undefined) {
      key = createHmac('sha256', current).update(`tka session key v1\n${uid.length}:${uid}`).digest().subarray(0, 16);
      made.set(uid, key);
    }
    return key;
  };
  return {
    token: ({ name, uid }) => `tka_${name}_${keyOf(uid).toString('hex')}`,
    isKeyOf(key, uid) {
      const given = Buffer.from(key, 'hex');
      const expected = keyOf(uid ?? nobody);
      const isEqual = given.length === expected.length && timingSafeEqual(given, expected);
      return isEqual && uid !== undefined;
    },
  };
}
