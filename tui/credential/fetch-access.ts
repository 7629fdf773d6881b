/** The way to a session's cluster, as the server has it at the moment, checked. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Mode } from '../../node/http/contract.ts';
import type { Api, CallOptions, Eventually } from '../api/api.ts';
import type { ClusterAccess } from '../kubeconfig/cluster-access.ts';
import { UnreachableError, UserError } from '../errors.ts';
import { tokenExpiry } from '../api/token.ts';

export interface FetchOptions {
  readonly api: Api;
  readonly server: string;
  /** Absent: the server picks. */
  readonly session?: string | undefined;
  readonly mode?: Mode | undefined;
  readonly signal: AbortSignal;
}

/** Waits while the server provisions. */
export async function fetchAccess({ api, server, session, mode, signal }: FetchOptions): Promise<ClusterAccess> {
  const ask = (call: CallOptions): Promise<Eventually<unknown>> => api.kubeconfig({ session, mode }, call);
  const [kubeconfig, { readClusterAccess }] = await Promise.all([
    ask({ signal }).then((first) => settled(first, ask, signal)),
    import('../kubeconfig/cluster-access.ts'),
  ]);
  return readClusterAccess(kubeconfig, server);
}

/** When the token ends: what it says itself, else what is known of its session; never after the session. */
export function accessExpiry(access: Pick<ClusterAccess, 'token'>, until: Date): Date {
  const own = tokenExpiry(access.token);
  return own === undefined || own > until ? until : own;
}

/** Asks again until the answer is no longer pending. */
export async function settled<T>(
  first: Eventually<T>,
  ask: (call: CallOptions) => Promise<Eventually<T>>,
  signal: AbortSignal,
): Promise<T> {
  let answer = first;
  while (answer.state === 'pending') {
    await delay(answer.retryAfterMs, undefined, { signal });
    answer = await ask({ signal });
  }
  return answer.value;
}

export interface Deadline {
  readonly server: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Runs until `timeoutMs` are over, then fails saying so. */
export async function withinDeadline<T>(
  { server, timeoutMs, signal }: Deadline,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await run(AbortSignal.any([signal, deadline]));
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted || error instanceof UserError) throw error;
    throw new UnreachableError(`timed out after ${Math.ceil(timeoutMs / 1000)} s waiting for ${server}`, [
      'Try again, or allow more time with --timeout 2m. To see whether a session was opened: tka status',
    ]);
  }
}
