/**
 * When a session can be used: it is provisioned, none of its objects is known to be missing, and the API server allows its own token
 * what its role allows. That is checked again for each call, concurrent calls together.
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
  /** Whether all objects of the session exist, though its status may not say so yet. */
  readonly isMade: (uid: string) => boolean;
  /** Whether no object of the session is known to be missing, whatever its status says. */
  readonly isWhole: (uid: string) => boolean;
  readonly onAccountMissing: (signin: TkaSignin) => void;
  /** Resolves when the status is of a pass over the session as it is now. */
  readonly lookAgain: (name: string, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

export interface Readiness {
  /** As Reconciler.usable() says. */
  until(name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** An object of the session is missing: earlier checks no longer count. */
  doubt(uid: string): void;
  /** The session is gone. */
  forget(uid: string): void;
}

/** Failures that waiting does not resolve: a login fails at once, for a refusal once it has lasted (refusals.ts). */
const hopeless = new Set(['RoleNotFound', 'NamespaceNotFound', 'Forbidden']);

/** For a session that has worked before, this many namespaces are probed again; the watches report everything else. */
const placesAgain = 8;

const lookAgainMs = 1000;

/** An API server that fails for this long is unreachable: the callers are told. A single failed request is retried. */
const awayMs = 1000;

/** Deadline of a check; callers leave earlier by their own signals. */
const proofMs = 60_000;

export function createReadiness(deps: ReadinessDeps): Readiness {
  const { cache } = deps;
  /** The check under way for each session, by UID, shared by all callers. */
  const proofs = new Map<string, { readonly seen: Promise<void>; readonly end: AbortController }>();
  /** Sessions that have passed a complete check, by UID. */
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
      // The check may have found a missing object.
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
      // Callers that wait for it still get its result: it reads the session's current state.
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
      // The first status is of an earlier pass: what was missing then may exist now.
      if (looks > 0) await sleep(clock, lookAgainMs, signal);
      await withSignal(lookAgain(name, signal), signal);
    }
  }
}

/** Checked with the session's own token. */
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
      // Its account is missing and being created again.
      const isPassing = isAway || error instanceof SessionNotReadyError;
      if (error instanceof UnauthorizedError && token !== undefined) deps.tokens.refused(uid, token);
      else if (!isPassing) throw error;
    }
    await sleep(deps.clock, delayMs, signal);
  }
}

/** The API server accepts a token for 10 s after its account is gone: a token that works now may be useless. */
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
