/**
 * Checks that a session's credential works: asks the API server, with the session's own token, whether something that the role
 * allows is allowed. RBAC takes effect some milliseconds after a write, so only trying shows.
 *
 * Rejects with UnauthorizedError where the API server does not accept the token, and with ApiUnavailableError where it does not
 * answer. Where several API servers share one address, the answer is one server's; another may be some milliseconds behind.
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
  // For a role that allows nothing, any answer but 401 shows that the token is known.
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
      // A cluster may forbid the review itself; that the token was accepted is all that can be known.
      if (error instanceof ForbiddenError) return;
      throw error;
    }
    await sleep(clock, delayMs, signal);
  }
}
