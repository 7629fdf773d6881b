/**
 * What must hold before tka serves: a recent enough Kubernetes, the CRD, the admission policies, tka's rights. Everything that is
 * missing is reported at once, each in one sentence with the command, or the verb and resource, that is the remedy.
 *
 * An unreachable API server is not an answer: `untilChecked` retries, reports each attempt, and ends with the first answer.
 */
import { ApiUnavailableError, ForbiddenError, UnauthorizedError } from '../../reconciler/errors.ts';
import { reinstall } from '../../reconciler/kubernetes/installation.ts';
import {
  type Access,
  type AccessRule,
  allows,
  describeAccess,
  electionAccess,
  neededAccess,
  ownNamespace,
} from './access.ts';
import { type ObjectApi, missingObjects } from './installed-objects.ts';

export interface PreflightApi extends ObjectApi {
  version(
    signal: AbortSignal,
  ): Promise<{ readonly major: string; readonly minor: string; readonly gitVersion: string }>;
  /** tka's rules in this namespace, by one SelfSubjectRulesReview; may be incomplete. */
  rules(namespace: string, signal: AbortSignal): Promise<readonly AccessRule[]>;
  /** Whether tka has this access, by a SelfSubjectAccessReview. */
  may(access: Access, signal: AbortSignal): Promise<boolean>;
}

export interface PreflightDeps {
  readonly api: PreflightApi;
  readonly sessionsNamespace: string;
  /** Every role that tka is configured to bind. */
  readonly roles: readonly string[];
  /** Whether replicas elect a leader. */
  readonly election: boolean;
  /** Further access that the configuration needs. */
  readonly access?: readonly Access[];
}

export interface Findings {
  /** tka cannot run like this. */
  readonly problems: readonly string[];
  /** tka can run, but something will be refused. */
  readonly warnings: readonly string[];
}

/** tka cannot run in this cluster as it is: exit code 1, message alone. */
export class PreflightError extends Error {
  override readonly name = 'PreflightError';
}

const oldest = { major: 1, minor: 30 };
/** Without a name: RBAC takes an empty list of names for all of them. */
const bindEveryRole: Access = { verb: 'bind', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' };
const unlimited =
  'tka may bind every ClusterRole, not only those of roles.clusterWide and roles.namespaced: name these in resourceNames of the ClusterRole tka-bindable-roles, which must not be empty';

export async function preflight(
  { api, sessionsNamespace, roles, election, access = [] }: PreflightDeps,
  signal: AbortSignal,
): Promise<Findings> {
  const version = await api.version(signal);
  if (!isNewEnough(version)) {
    // Nothing below can be trusted on such a server, the policies least of all.
    const problem = `the API server is Kubernetes ${version.gitVersion}; tka needs ${oldest.major}.${oldest.minor} or newer, for its admission policies`;
    return { problems: [problem], warnings: [] };
  }
  if (sessionsNamespace === ownNamespace) {
    const problem = `operator.namespace is ${ownNamespace}, tka's own namespace: sessions need one of their own; remove the key for tka-sessions`;
    return { problems: [problem], warnings: [] };
  }
  const [installed, rights, bindings, everyRole] = await Promise.all([
    missingObjects(api, sessionsNamespace, signal),
    missingRights(api, allAccess({ sessionsNamespace, election, access }), signal),
    unbindableRoles(api, roles, signal),
    api.may(bindEveryRole, signal),
  ]);
  const problems = [...installed, ...rights];
  if (roles.length > 0 && bindings.length === roles.length) problems.push(...bindings);
  return { problems, warnings: problems.length > 0 ? [] : [...bindings, ...(everyRole ? [unlimited] : [])] };
}

/** The same while the server runs, with few requests: only access that the rules do not show is asked about one by one. */
export async function installationProblems(deps: PreflightDeps, signal: AbortSignal): Promise<readonly string[]> {
  const { api, sessionsNamespace } = deps;
  const needed = allAccess(deps);
  // Cluster-wide rules show in a namespace without a RoleBinding of tka's.
  const place = ({ namespace = 'default' }: Access): string => namespace;
  const rules = new Map(
    await Promise.all(
      [...new Set(needed.map(place))].map(
        async (namespace) => [namespace, await api.rules(namespace, signal)] as const,
      ),
    ),
  );
  const unseen = needed.filter((access) => !rules.get(place(access))?.some((rule) => allows(rule, access)));
  const [installed, rights] = await Promise.all([
    missingObjects(api, sessionsNamespace, signal),
    missingRights(api, unseen, signal),
  ]);
  return [...installed, ...rights];
}

function allAccess({
  sessionsNamespace,
  election,
  access = [],
}: Pick<PreflightDeps, 'sessionsNamespace' | 'election' | 'access'>): readonly Access[] {
  return [...neededAccess(sessionsNamespace), ...(election ? electionAccess : []), ...access];
}

/** An API server that has just started briefly knows neither accounts nor roles, and refuses everyone. */
const doubtAfterOutage = { times: 10, pauseMs: 1000 };

/**
 * Resolves with the warnings. Rejects with a PreflightError, with the signal's reason, or with an unexpected error. While the API
 * server is unreachable it retries with a doubling pause, at most 15 s; a refusal by a server that was unreachable before is
 * checked again for some seconds before it counts.
 */
export async function untilChecked(
  check: (signal: AbortSignal) => Promise<Findings>,
  deps: {
    readonly onAway: (error: Error, nextTryMs: number) => void;
    readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  },
  signal: AbortSignal,
): Promise<readonly string[]> {
  let doubts = 0;
  for (let pauseMs = 500; ;) {
    try {
      const { problems, warnings } = await check(signal);
      if (problems.length > 0) throw new PreflightError(problems.join('\n'));
      return warnings;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiUnavailableError) {
        deps.onAway(error, pauseMs);
        await deps.sleep(pauseMs, signal);
        pauseMs = Math.min(15_000, pauseMs * 2);
        doubts = doubtAfterOutage.times;
        continue;
      }
      const verdict = verdictOf(error);
      if (verdict === undefined) throw error;
      if (doubts === 0) throw verdict;
      doubts -= 1;
      deps.onAway(verdict, doubtAfterOutage.pauseMs);
      await deps.sleep(doubtAfterOutage.pauseMs, signal);
    }
  }
}

function verdictOf(error: unknown): PreflightError | undefined {
  if (error instanceof PreflightError) return error;
  if (error instanceof UnauthorizedError) {
    return new PreflightError(
      "the API server does not know tka's credential: look at kubernetes.kubeconfig and kubernetes.context",
      { cause: error },
    );
  }
  if (error instanceof ForbiddenError) {
    return new PreflightError(`the API server refuses tka: ${error.message}`, { cause: error });
  }
  return undefined;
}

/** Cloud providers write `30+` for the minor version. */
export function isNewEnough({ major, minor }: { readonly major: string; readonly minor: string }): boolean {
  const [a, b] = [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
  return a > oldest.major || (a === oldest.major && b >= oldest.minor);
}

async function missingRights(
  api: PreflightApi,
  needed: readonly Access[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const allowed = await Promise.all(needed.map((access) => api.may(access, signal)));
  return needed
    .filter((_, i) => allowed[i] !== true)
    .map(
      (access) => `tka may not ${describeAccess(access)}: its rights are in manifests/cluster/rbac.yaml; ${reinstall}`,
    );
}

async function unbindableRoles(
  api: PreflightApi,
  roles: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const questions = roles.map((name): Access => ({
    verb: 'bind',
    group: 'rbac.authorization.k8s.io',
    resource: 'clusterroles',
    name,
  }));
  const allowed = await Promise.all(questions.map((access) => api.may(access, signal)));
  return questions
    .filter((_, i) => allowed[i] !== true)
    .map(
      (access) =>
        `tka may not ${describeAccess(access)}: add the role to manifests/cluster/bindable-roles.yaml, or take it from roles.clusterWide and roles.namespaced`,
    );
}
