/**
 * Sees that a session's credential works: asks the API server, with the session's own token, whether what the role
 * allows is allowed. RBAC follows a write by some milliseconds, so only trying tells.
 *
 * Rejects with UnauthorizedError where the API server does not accept the token, and with ApiUnavailableError where it does not answer.
 *
 * It shows one API server's mind. Where there are several behind one address, another may be some milliseconds behind.
 */
import type { AuthorizationV1Api, V1SelfSubjectAccessReviewSpec } from '@kubernetes/client-node';
import { type Clock, sleep } from '../clock.ts';
import { type Cluster, during } from '../cluster.ts';
import { ForbiddenError } from '../errors.ts';

export async function untilAllowed(
  deps: { readonly cluster: Cluster; readonly clock: Clock },
  token: string,
  probes: readonly V1SelfSubjectAccessReviewSpec[],
  signal: AbortSignal,
): Promise<void> {
  const api = deps.cluster.withToken(token);
  // A role that allows nothing still has to be known to the API server: any answer but 401 shows that.
  const questions = probes.length > 0 ? probes : [{ nonResourceAttributes: { verb: 'get', path: '/' } }];
  await Promise.all(
    questions.map(async (spec) => await untilAnswered(deps.clock, api, spec, probes.length > 0, signal)),
  );
}

async function untilAnswered(
  clock: Clock,
  api: AuthorizationV1Api,
  spec: V1SelfSubjectAccessReviewSpec,
  mustBeAllowed: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (let delayMs = 2; ; delayMs = Math.min(50, delayMs * 2)) {
    try {
      const { status } = await api.createSelfSubjectAccessReview({ body: { spec } }, during(signal));
      if (status?.allowed === true || !mustBeAllowed) return;
    } catch (error) {
      // A cluster may forbid the question itself; the token was accepted, and that is all that can be known.
      if (error instanceof ForbiddenError) return;
      throw error;
    }
    await sleep(clock, delayMs, signal);
  }
}
