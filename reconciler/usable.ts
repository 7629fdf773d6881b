/**
 * When a session can be used: it is provisioned, and the API server lets its own token do what its role allows.
 */
import { findCondition } from '../crd/conditions.ts';
import { endOf } from '../crd/parse.ts';
import type { TkaSignin } from '../crd/tkasignin.ts';
import { untilAllowed } from './access.ts';
import type { SigninCache } from './cache.ts';
import { type Clock, withSignal } from './clock.ts';
import type { Cluster } from './cluster.ts';
import { SessionEndingError, SessionFailedError, SessionNotFoundError } from './errors.ts';
import { isProvisioned } from './plan.ts';
import { probesFor } from './probe.ts';
import type { Roles } from './roles.ts';
import type { Tokens } from './tokens.ts';

export interface UsableDeps {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly cache: SigninCache;
  readonly tokens: Tokens;
  readonly roles: Roles;
  /** Whether the session's objects are all there, though its status may not say so yet. */
  readonly isMade: (uid: string) => boolean;
  /** Resolves when the status tells of the session as it is now asked for, not of an earlier pass. */
  readonly lookAgain: (name: string, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

export interface Usable {
  /** As Reconciler.usable() says. */
  (name: string, signal: AbortSignal): Promise<TkaSignin>;
  /** The session is gone or was damaged: what was seen of it no longer counts. */
  forget(uid: string): void;
}

/** Failures that no waiting heals; a login is told at once. */
const hopeless = new Set(['RoleNotFound', 'NamespaceNotFound', 'Forbidden']);

/** However long the API server takes to follow a write; whoever waits leaves by their own signal. */
const proofMs = 60_000;

export function createUsable(deps: UsableDeps): Usable {
  const { cache } = deps;
  /** What was, or is being, seen of each session, by its UID: asked once, however many want to know. */
  const proofs = new Map<string, { readonly seen: Promise<void>; readonly end: AbortController }>();

  const proven = (signin: TkaSignin): Promise<void> => {
    const { uid } = signin.metadata;
    const before = proofs.get(uid);
    if (before !== undefined) return before.seen;
    const end = new AbortController();
    const signal = AbortSignal.any([deps.stopping, end.signal, AbortSignal.timeout(proofMs)]);
    const proof = { seen: untilWorking(deps, signin, signal), end };
    proofs.set(uid, proof);
    proof.seen.catch(() => {
      if (proofs.get(uid) === proof) proofs.delete(uid);
    });
    return proof.seen;
  };

  const usable = async (name: string, signal: AbortSignal): Promise<TkaSignin> => {
    const signin = await untilMade(deps, name, signal);
    const { uid } = signin.metadata;
    const over = new AbortController();
    const asking = AbortSignal.any([signal, over.signal]);
    const gone = cache
      .until(name, (now) => (isLive(now, uid) ? undefined : true), asking)
      .then(() => over.abort(new SessionEndingError(name, `session ${name} was ended meanwhile`)))
      .catch(() => undefined);
    try {
      const [ready] = await Promise.all([untilReady(deps, name, asking), withSignal(proven(signin), asking)]);
      return cache.get(name) ?? ready;
    } finally {
      over.abort();
      await gone;
    }
  };
  return Object.assign(usable, {
    forget(uid: string) {
      proofs.get(uid)?.end.abort();
      proofs.delete(uid);
    },
  });
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

async function untilMade(deps: UsableDeps, name: string, signal: AbortSignal): Promise<TkaSignin> {
  return await untilHopeful(deps, name, signal, (signin) =>
    signin !== undefined && deps.isMade(signin.metadata.uid) ? signin : readyOrThrow(name, signin, deps.clock.now()),
  );
}

async function untilReady(deps: UsableDeps, name: string, signal: AbortSignal): Promise<TkaSignin> {
  return await untilHopeful(deps, name, signal, (signin) => readyOrThrow(name, signin, deps.clock.now()));
}

async function untilHopeful(
  { cache, lookAgain }: UsableDeps,
  name: string,
  signal: AbortSignal,
  check: (signin: TkaSignin | undefined) => TkaSignin | undefined,
): Promise<TkaSignin> {
  try {
    return await cache.until(name, check, signal);
  } catch (error) {
    if (!(error instanceof SessionFailedError)) throw error;
    // The status tells of an earlier pass: what was missing then may be there now.
    await withSignal(lookAgain(name, signal), signal);
    return await cache.until(name, check, signal);
  }
}

/** Seen with the session's own token. */
async function untilWorking(deps: UsableDeps, signin: TkaSignin, signal: AbortSignal): Promise<void> {
  const { role, namespaces } = signin.spec;
  const [{ token }, rules] = await Promise.all([
    deps.tokens.kept(signin, () => signal),
    deps.roles.rulesOf(role, signal),
  ]);
  await untilAllowed(deps, token, probesFor(rules ?? [], namespaces), signal);
}

function isLive(signin: TkaSignin | undefined, uid: string): boolean {
  return signin?.metadata.uid === uid && signin.metadata.deletionTimestamp === undefined;
}
