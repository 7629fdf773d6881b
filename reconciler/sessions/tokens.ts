/**
 * Tokens of sessions' ServiceAccounts, by TokenRequest. No token that is handed out outlives its session: the API server's answer
 * and the token's `exp` claim are compared with the session's end first.
 *
 * The API server's minimum is 600 s; a session with less left gets no token (SessionEndingError), never a longer one. A token for
 * tka's own use may be longer: it ends with the account. One request at a time for each session; the last token stays in memory,
 * by the session's UID, until the session's end, or until its account changes or the API server refuses the token.
 */
import * as z from 'zod';
import { accountName, type TkaSignin } from '../../crd/tkasignin.ts';
import { endOf } from '../../crd/parse.ts';
import { type Clock, withSignal } from '../clock.ts';
import { type Cluster, during } from '../cluster.ts';
import { ClockBehindError, InvalidError, NotFoundError, SessionEndingError, SessionNotReadyError } from '../errors.ts';
import type { SessionToken } from '../reconciler.ts';

export interface Tokens {
  /** A token to hand out. */
  get(signin: TkaSignin, signal: AbortSignal): Promise<SessionToken>;
  /**
   * A token that never leaves tka: never a SessionEndingError. `deadline` is called only where there is something to wait for,
   * because a signal with a timer for each request is expensive.
   */
  kept(signin: TkaSignin, deadline: () => AbortSignal): Promise<SessionToken>;
  /** The session's account has this UID now (undefined: it is gone); tokens of another account are dropped. */
  accountIs(uid: string, accountUid: string | undefined): void;
  /** The API server did not accept this token. One that was just issued may not be known there yet. */
  refused(uid: string, token: string): void;
  forget(uid: string): void;
}

export interface TokensDeps {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly onMinted: (seconds: number) => void;
  /** The session's account is not there. */
  readonly onAccountMissing?: (signin: TkaSignin) => void;
  /** Runs each mint. */
  readonly around?: <T>(mint: () => Promise<T>) => Promise<T>;
}

export const minimumSeconds = 600;
const mintDeadlineMs = 10_000;
/** Other API servers may not know an account yet whose token one of them has just issued. */
const newMs = 2000;
/** TokenRequest's special number: the API server makes a token asked for 3607 s last a year. */
const extendedSeconds = 3607;

interface Held extends SessionToken {
  readonly mintedAt: number;
  /** The end it was minted for. */
  readonly end: number;
}

interface Minting {
  readonly token: Promise<Held>;
  /** What the account was said to be meanwhile. */
  account?: { readonly uid: string | undefined };
}

export function createTokens(deps: TokensDeps): Tokens {
  const { around = (mint) => mint() } = deps;
  const held = new Map<string, Held>();
  const minting = new Map<string, Minting>();
  const obtain = async (signin: TkaSignin, isKept: boolean, deadline: () => AbortSignal): Promise<SessionToken> => {
    const { uid } = signin.metadata;
    for (;;) {
      const have = held.get(uid);
      const now = deps.clock.now();
      if (have !== undefined && (isGood(have, endOf(signin), now) || (isKept && isLasting(have, now)))) {
        return publicPart(have);
      }
      const underway = minting.get(uid);
      if (underway !== undefined) {
        // It may be for an end that has moved since, or for the other use: the result is checked again.
        await withSignal(underway.token, deadline()).catch((error: unknown) => {
          if (!isKept || !(error instanceof SessionEndingError)) throw error;
        });
        continue;
      }
      // A session that was forgotten meanwhile keeps no token.
      const isWanted = (): boolean => minting.get(uid) === minted;
      const token = around(async () => await mint(deps, signin, isKept))
        .then((made) => {
          const { account } = minted;
          const isOfAccount = account === undefined || account.uid === accountClaim(made.token);
          if (isWanted() && isOfAccount) held.set(uid, made);
          return made;
        })
        .finally(() => {
          if (isWanted()) minting.delete(uid);
        });
      const minted: Minting = { token };
      minting.set(uid, minted);
      // Callers that wait for it get its failure; all of them may have left.
      token.catch(() => undefined);
      return publicPart(await withSignal(token, deadline()));
    }
  };
  return {
    get: (signin, signal) => obtain(signin, false, () => signal),
    kept: (signin, deadline) => obtain(signin, true, deadline),
    accountIs(uid, accountUid) {
      const have = held.get(uid);
      // A token under way may be of either account.
      const underway = minting.get(uid);
      if (underway !== undefined) underway.account = { uid: accountUid };
      if (have !== undefined && accountUid !== accountClaim(have.token)) held.delete(uid);
    },
    refused(uid, token) {
      const have = held.get(uid);
      if (have?.token === token && deps.clock.now() - have.mintedAt >= newMs) held.delete(uid);
    },
    forget(uid) {
      held.delete(uid);
      minting.delete(uid);
    },
  };
}

/** What to ask for, or undefined where the session has too little left. */
export function secondsToAsk(end: number, now: number): number | undefined {
  // One second less than what is left: the API server counts from its own, later, now.
  const seconds = Math.floor((end - now) / 1000) - 1;
  if (seconds < minimumSeconds) return undefined;
  return seconds === extendedSeconds ? seconds - 1 : seconds;
}

const claimsSchema = z.object({
  exp: z.number().optional(),
  iat: z.number().optional(),
  'kubernetes.io': z.object({ serviceaccount: z.object({ uid: z.string() }) }).optional(),
});

/** `exp` of a JWT in milliseconds since the epoch; undefined where it cannot be read. */
export function expiryClaim(token: string): number | undefined {
  const exp = claimsOf(token)?.exp;
  return exp === undefined ? undefined : exp * 1000;
}

/** The UID of the ServiceAccount that a token is of; undefined where it cannot be read. */
export function accountClaim(token: string): string | undefined {
  return claimsOf(token)?.['kubernetes.io']?.serviceaccount.uid;
}

/** Of a token that the API server has just issued: nothing is verified here. */
function claimsOf(token: string): z.infer<typeof claimsSchema> | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return claimsSchema.safeParse(claims).data;
  } catch {
    return undefined;
  }
}

/** Differences below this are the request's duration and rounding. */
const noticeableMs = 30_000;

async function mint(deps: TokensDeps, signin: TkaSignin, isKept: boolean): Promise<Held> {
  const { clock, onMinted } = deps;
  const { name: session, namespace } = signin.metadata;
  const end = endOf(signin);
  const startedAt = clock.now();
  let seconds = secondsToAsk(end, startedAt) ?? (isKept ? minimumSeconds : undefined);
  let behindMs = 0;
  // The API server's clock may be ahead: the second request asks for that much less.
  for (let attempt = 0; attempt < 2 && seconds !== undefined; attempt += 1) {
    const { token, expiresAt } = await request(deps, signin, seconds, namespace);
    if (isKept || expiresAt <= end) {
      onMinted((clock.now() - startedAt) / 1000);
      return { token, expiresAt: new Date(expiresAt), mintedAt: startedAt, end };
    }
    behindMs = (claimsOf(token)?.iat ?? startedAt / 1000) * 1000 - startedAt;
    const shorter: number = seconds - Math.ceil((expiresAt - end) / 1000) - 1;
    seconds = shorter < minimumSeconds ? undefined : shorter;
  }
  if (behindMs >= noticeableMs) throw new ClockBehindError(session, behindMs);
  throw new SessionEndingError(
    session,
    `session ${session} ends at ${signin.spec.expiresAt}, too soon for another token: log in again to renew it`,
  );
}

async function request(
  { cluster, onAccountMissing }: TokensDeps,
  signin: TkaSignin,
  expirationSeconds: number,
  namespace: string,
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  try {
    const body = { spec: { audiences: [], expirationSeconds } };
    const { status } = await cluster.core.createNamespacedServiceAccountToken(
      { name: accountName(signin), namespace, body },
      during(AbortSignal.timeout(mintDeadlineMs)),
    );
    const { token, expirationTimestamp } = status ?? {};
    if (token === undefined || expirationTimestamp === undefined) {
      throw new InvalidError(
        'create',
        'serviceaccounts/token',
        'the API server answered a TokenRequest without a token',
      );
    }
    const answered = expirationTimestamp.getTime();
    return { token, expiresAt: Math.max(answered, expiryClaim(token) ?? answered) };
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    onAccountMissing?.(signin);
    throw new SessionNotReadyError(signin.metadata.name, `session ${signin.metadata.name} has no account yet`);
  }
}

/** A token is good enough if a new one would not last much longer. */
function isGood(have: Held, end: number, now: number): boolean {
  const expiresAt = have.expiresAt.getTime();
  if (expiresAt > end || expiresAt <= now) return false;
  // Two seconds for the shorter request and rounding.
  if (end - expiresAt <= 3000) return true;
  // The API server limits the lifetime and gave less than requested: used for half of it.
  return have.end === end && expiresAt - now > (expiresAt - have.mintedAt) / 2;
}

/** Whatever the session's end: a fifth of its lifetime is left. */
function isLasting({ expiresAt, mintedAt }: Held, now: number): boolean {
  return expiresAt.getTime() - now > (expiresAt.getTime() - mintedAt) / 5;
}

function publicPart({ token, expiresAt }: Held): SessionToken {
  return { token, expiresAt };
}
