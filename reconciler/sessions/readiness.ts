/**
 * When a session can be used: it is provisioned, nothing of it is known to be missing, and the API server lets its own token do
 * what its role allows. That is seen again for each caller, those at once together: what was true once may not be now.
 */
import { findCondition } from '../../crd/conditions.ts';
import { endOf } from '../../crd/parse.ts';
import { accountName, type TkaSignin } from '../../crd/tkasignin.ts';
import { untilAllowed } from './access.ts';
import type { SigninCache } from '../informer/cache.ts';
import { type Clock, sleep, withSignal } from '../clock.ts';
import { type Cluster, during } from '../cluster.ts';
import {
  ApiUnavailableError,
  NotFoundError,
  SessionEndingError,
  SessionFailedError,
  SessionNotFoundError,
  SessionNotReadyError,
  UnauthorizedError,
} from '../errors.ts';
import { isProvisioned } from '../reconcile/plan.ts';
import { probesFor } from './probe.ts';
import { confirmedMs } from './refusals.ts';
import type { Roles } from '../kubernetes/roles.ts';
import type { Tokens } from './tokens.ts';

export interface ReadinessDeps {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly cache: SigninCache;
  readonly tokens: Tokens;
  readonly roles: Roles;
  /** Whether the session's objects are all there, though its status may not say so yet. */
  readonly isMade: (uid: string) => boolean;
  /** Whether nothing of it is known to be missing, whatever its status says. */
  readonly isWhole: (uid: string) => boolean;
  readonly onAccountMissing: (signin: TkaSignin) => void;
  /** Resolves when the status tells of the session as it is now asked for, not of an earlier pass. */
  readonly lookAgain: (name: string, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

export interface Readiness {
  /** As Reconciler.usable() says. */
  until(name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** Something of the session is missing: what was seen of it no longer counts. */
  doubt(uid: string): void;
  /** The session is gone. */
  forget(uid: string): void;
}

/** Failures that no waiting heals: a login is told at once, of a refusal once it has lasted (refusals.ts). */
const hopeless = new Set(['RoleNotFound', 'NamespaceNotFound', 'Forbidden']);

/** Of a session that has worked before, where the watches tell of everything else, so many places are looked at again. */
const placesAgain = 8;

const lookAgainMs = 1000;

/** An API server that fails for this long is away: the callers are told. One failed request among others is asked again. */
const awayMs = 1000;

/** However long the API server takes to follow a write; whoever waits leaves by their own signal. */
const proofMs = 60_000;

export function createReadiness(deps: ReadinessDeps): Readiness {
  const { cache } = deps;
  /** What is being seen of each session, by its UID: asked once, however many want to know. */
  const proofs = new Map<string, { readonly seen: Promise<void>; readonly end: AbortController }>();
  /** Sessions that have worked as a whole, by UID. */
  const worked = new Set<string>();

  const proven = (signin: TkaSignin): Promise<void> => {
    const { uid } = signin.metadata;
    const underway = proofs.get(uid);
    if (underway !== undefined) return underway.seen;
    const end = new AbortController();
    const signal = AbortSignal.any([deps.stopping, end.signal, AbortSignal.timeout(proofMs)]);
    const proof = { seen: untilWorking(deps, signin, worked.has(uid), signal), end };
    proofs.set(uid, proof);
    const isOver = (): boolean => proofs.get(uid) === proof && proofs.delete(uid);
    proof.seen.then(
      () => isOver() && worked.add(uid),
      () => isOver(),
    );
    return proof.seen;
  };

  const until = async (name: string, signal: AbortSignal): Promise<TkaSignin> => {
    const signin = await untilMade(deps, name, signal);
    const { uid } = signin.metadata;
    const over = new AbortController();
    const asking = AbortSignal.any([signal, over.signal]);
    const gone = cache
      .until(name, (now) => (isLive(now, uid) ? undefined : true), asking)
      .then(() => over.abort(new SessionEndingError(name, `session ${name} was ended meanwhile`)))
      .catch(() => undefined);
    try {
      await Promise.all([untilReady(deps, name, asking), withSignal(proven(signin), asking)]);
      // The proof may have found what is missing.
      const ready = await untilReady(deps, name, asking);
      return cache.get(name) ?? ready;
    } finally {
      over.abort();
      await gone;
    }
  };
  return {
    until,
    doubt(uid) {
      // Those who wait for it still hear of it: it looks at the session as it is from now on.
      proofs.delete(uid);
      worked.delete(uid);
    },
    forget(uid) {
      proofs.get(uid)?.end.abort();
      proofs.delete(uid);
      worked.delete(uid);
    },
  };
}

/** The session if it is ready, undefined while it may become so; throws where it will not. */
export function readyOrThrow(name: string, signin: TkaSignin | undefined, now: number): TkaSignin | undefined {
  if (signin === undefined) throw new SessionNotFoundError(name);
  if (signin.metadata.deletionTimestamp !== undefined || endOf(signin) <= now) {
    throw new SessionEndingError(name, `session ${name} has ended: log in again`);
  }
  if (isProvisioned(signin)) return signin;
  const ready = findCondition(signin.status?.conditions, 'Ready');
  if (ready?.status === 'False' && hopeless.has(ready.reason)) {
    throw new SessionFailedError(name, ready.reason, ready.message);
  }
  return undefined;
}

async function untilMade(deps: ReadinessDeps, name: string, signal: AbortSignal): Promise<TkaSignin> {
  return await untilHopeful(deps, name, signal, (signin) =>
    signin !== undefined && deps.isMade(signin.metadata.uid) ? signin : wholeOrThrow(deps, name, signin),
  );
}

async function untilReady(deps: ReadinessDeps, name: string, signal: AbortSignal): Promise<TkaSignin> {
  return await untilHopeful(deps, name, signal, (signin) => wholeOrThrow(deps, name, signin));
}

function wholeOrThrow(deps: ReadinessDeps, name: string, signin: TkaSignin | undefined): TkaSignin | undefined {
  const ready = readyOrThrow(name, signin, deps.clock.now());
  return ready !== undefined && deps.isWhole(ready.metadata.uid) ? ready : undefined;
}

async function untilHopeful(
  { cache, clock, lookAgain }: ReadinessDeps,
  name: string,
  signal: AbortSignal,
  check: (signin: TkaSignin | undefined) => TkaSignin | undefined,
): Promise<TkaSignin> {
  const startedAt = clock.now();
  for (let looks = 0; ; looks += 1) {
    try {
      return await cache.until(name, check, signal);
    } catch (error) {
      if (!(error instanceof SessionFailedError)) throw error;
      const mayPass = error.reason === 'Forbidden' && clock.now() - startedAt < confirmedMs;
      if (looks > 0 && !mayPass) throw error;
      // The first status tells of an earlier pass: what was missing then may be there now.
      if (looks > 0) await sleep(clock, lookAgainMs, signal);
      await withSignal(lookAgain(name, signal), signal);
    }
  }
}

/** Seen with the session's own token. */
async function untilWorking(
  deps: ReadinessDeps,
  signin: TkaSignin,
  isAgain: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { role, namespaces } = signin.spec;
  const { uid } = signin.metadata;
  const rules = (await deps.roles.rulesOf(role, signal)) ?? [];
  const probes = probesFor(rules, isAgain ? namespaces?.slice(0, placesAgain) : namespaces);
  let awaySince: number | undefined;
  for (let delayMs = 2; ; delayMs = Math.min(50, delayMs * 2)) {
    let token: string | undefined;
    const askedAt = deps.clock.now();
    try {
      if (isAgain) await seeAccount(deps, signin, signal);
      ({ token } = await deps.tokens.kept(signin, () => signal));
      await untilAllowed(deps, token, probes, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const isAway = error instanceof ApiUnavailableError;
      awaySince = isAway ? (awaySince ?? askedAt) : undefined;
      if (awaySince !== undefined && deps.clock.now() - awaySince >= awayMs) throw error;
      // Its account is missing, and is being made again.
      const isPassing = isAway || error instanceof SessionNotReadyError;
      if (error instanceof UnauthorizedError && token !== undefined) deps.tokens.refused(uid, token);
      else if (!isPassing) throw error;
    }
    await sleep(deps.clock, delayMs, signal);
  }
}

/** The API server accepts a token for 10 s after its account has gone: a token that works now may be of no use to anybody. */
async function seeAccount(deps: ReadinessDeps, signin: TkaSignin, signal: AbortSignal): Promise<void> {
  const { name, namespace, uid } = signin.metadata;
  try {
    const where = { name: accountName(signin), namespace };
    const { metadata } = await deps.cluster.core.readNamespacedServiceAccount(where, during(signal));
    deps.tokens.accountIs(uid, metadata?.uid);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    deps.tokens.accountIs(uid, undefined);
    deps.onAccountMissing(signin);
    throw new SessionNotReadyError(name, `session ${name} has no account`);
  }
}

function isLive(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.deletionTimestamp === undefined;
}
