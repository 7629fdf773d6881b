/**
 * Stores a login as a TkaSignin: creates it, or moves the end of the existing one.
 *
 * Concurrent calls for one session share one write. An object found under the session's name is adopted only if its whole spec
 * except the end matches the request. One that has ended or is being revoked is waited for and then created again; so is one whose
 * end would become earlier, because tokens handed out for the later end die only with its account.
 */
import { endOf } from '../../crd/parse.ts';
import { signinName, type TkaSignin } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import { type Clock, withSignal } from '../clock.ts';
import { ConflictError, NotFoundError, SessionEndingError } from '../errors.ts';
import type { SignInRequest } from '../reconciler.ts';
import type { Signins } from '../kubernetes/tkasignin-client.ts';

export interface SignInDeps {
  readonly cache: SigninCache;
  readonly signins: Signins;
  readonly clock: Clock;
  /** Adds the session to the queue. */
  readonly enqueue: (name: string) => void;
  /** Announces why a session is about to end. */
  readonly announceEnd: (signin: TkaSignin, reason: string, signal: AbortSignal) => Promise<void>;
  readonly stopping: AbortSignal;
}

/** Ends are stored in whole seconds, so a stored end may differ from the requested one by rounding. */
const toleranceMs = 2000;
/** Deadline of a write that several logins wait for; each of them leaves by its own signal. */
const storeMs = 10_000;
/** How long a login waits for a session of the same name that is being revoked. */
const namesakeMs = 2000;

export function createSignIn(deps: SignInDeps): (request: SignInRequest, signal: AbortSignal) => Promise<TkaSignin> {
  const underway = new Map<string, { readonly endsAt: number; readonly stored: Promise<TkaSignin> }>();
  return async (request, signal) => {
    const name = signinName(request);
    const endsAt = request.endsAt.getTime();
    for (let other = underway.get(name); other !== undefined; other = underway.get(name)) {
      if (Math.abs(other.endsAt - endsAt) < toleranceMs) return await withSignal(other.stored, signal);
      await withSignal(
        other.stored.catch(() => undefined),
        signal,
      );
    }
    const stored = store(deps, request, name).finally(() => underway.delete(name));
    underway.set(name, { endsAt, stored });
    return await withSignal(stored, signal);
  };
}

async function store(deps: SignInDeps, request: SignInRequest, name: string): Promise<TkaSignin> {
  const signal = AbortSignal.any([deps.stopping, AbortSignal.timeout(storeMs)]);
  for (;;) {
    signal.throwIfAborted();
    const found = deps.cache.get(name);
    const stored =
      found === undefined ? await create(deps, request, name, signal) : await adopt(deps, found, request, signal);
    if (stored === undefined) continue;
    deps.enqueue(name);
    return stored;
  }
}

/** The object just created; undefined where another write came first: read again. */
async function create(
  deps: SignInDeps,
  request: SignInRequest,
  name: string,
  signal: AbortSignal,
): Promise<TkaSignin | undefined> {
  try {
    const created = await deps.signins.create(request, name, signal);
    deps.cache.written(created);
    return created;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const found = await reread(deps, name, signal);
    return found === undefined ? undefined : await adopt(deps, found, request, signal);
  }
}

/** The session, with its end moved if needed; undefined where it was or had to be removed: read again. */
async function adopt(
  deps: SignInDeps,
  found: TkaSignin,
  request: SignInRequest,
  signal: AbortSignal,
): Promise<TkaSignin | undefined> {
  const { name } = found.metadata;
  if (!isSameGrant(found, request)) {
    throw new SessionEndingError(name, `${name} is a session of another user: an administrator must delete it`);
  }
  if (found.metadata.deletionTimestamp !== undefined) {
    await untilGone(deps, found, signal);
    return undefined;
  }
  const endsAt = Math.floor(request.endsAt.getTime() / 1000) * 1000;
  const isOver = endOf(found) <= deps.clock.now();
  const isShorter = endsAt <= endOf(found) - toleranceMs;
  if (isOver || isShorter || found.spec.username !== request.username) {
    await deps.announceEnd(found, isOver ? 'expired' : 'replaced', signal);
    await remove(deps, found, signal);
    return undefined;
  }
  if (endsAt < endOf(found) + toleranceMs) return found;
  try {
    const moved = await deps.signins.moveEnd(found, new Date(endsAt), request.node, signal);
    deps.cache.written(moved);
    return moved;
  } catch (error) {
    if (!(error instanceof NotFoundError || error instanceof ConflictError)) throw error;
    if ((await reread(deps, name, signal)) === undefined) deps.cache.released(found);
    return undefined;
  }
}

async function remove(deps: SignInDeps, found: TkaSignin, signal: AbortSignal): Promise<void> {
  try {
    const left = await deps.signins.delete(found, { unchanged: false }, signal);
    if (left !== undefined) deps.cache.written(left);
  } catch (error) {
    if (!(error instanceof NotFoundError || error instanceof ConflictError)) throw error;
    if ((await reread(deps, found.metadata.name, signal)) === undefined) deps.cache.released(found);
    return;
  }
  await untilGone(deps, found, signal);
}

async function untilGone(deps: SignInDeps, { metadata: { name, uid } }: TkaSignin, signal: AbortSignal): Promise<void> {
  deps.enqueue(name);
  const waiting = AbortSignal.any([signal, AbortSignal.timeout(namesakeMs)]);
  try {
    await deps.cache.until(name, (now) => (now?.metadata.uid === uid ? undefined : true), waiting);
  } catch (error) {
    signal.throwIfAborted();
    throw new SessionEndingError(name, `session ${name} is still being revoked: log in again in a moment`, {
      cause: error,
    });
  }
}

async function reread(
  { cache, signins }: Pick<SignInDeps, 'cache' | 'signins'>,
  name: string,
  signal: AbortSignal,
): Promise<TkaSignin | undefined> {
  try {
    const found = await signins.read(name, signal);
    cache.written(found);
    return found;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** Everything but the end and the display name, which its owner may change. */
function isSameGrant({ spec }: TkaSignin, request: SignInRequest): boolean {
  return (
    spec.subject === request.subject &&
    spec.role === request.role &&
    (spec.namespaces === undefined) === (request.namespaces === undefined) &&
    JSON.stringify([...(spec.namespaces ?? [])].sort()) === JSON.stringify([...(request.namespaces ?? [])].sort())
  );
}
