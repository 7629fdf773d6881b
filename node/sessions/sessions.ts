/**
 * Between the HTTP API and the reconciler: turns an identity and a rule into a session, a TkaSignin into what its owner sees, and the
 * reconciler's errors into answers.
 *
 * Every list is of one subject's live sessions: not ended, not being revoked. The limit on sessions includes those that are being
 * stored, so that concurrent logins cannot exceed it.
 */
import { findCondition } from '../../crd/conditions.ts';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { signinName } from '../../crd/tkasignin.ts';
import {
  ApiUnavailableError,
  ClockBehindError,
  ForbiddenError,
  SessionEndingError,
  SessionFailedError,
  SessionNotFoundError,
  SessionNotReadyError,
} from '../../reconciler/errors.ts';
import { installationProblem, reinstall } from '../../reconciler/kubernetes/installation.ts';
import type { Reconciler } from '../../reconciler/reconciler.ts';
import { confirmedMs, createRefusals, type Refusals } from '../../reconciler/sessions/refusals.ts';
import type { SessionView, Sessions, SignIn } from '../http/deps.ts';
import { ApiError } from '../http/errors.ts';

export interface SessionsDeps {
  readonly reconciler: Pick<
    Reconciler,
    'signIn' | 'usable' | 'get' | 'list' | 'end' | 'token' | 'isReady' | 'roleExists' | 'namespaceExists'
  >;
  /** Called with the UID of each session that a login has stored. */
  onAdmitted(uid: string): void;
  readonly bindable: { readonly clusterWide: readonly string[]; readonly namespaced: readonly string[] };
  readonly sessionsPerSubject: number;
  /** The proxy's token of a session. */
  proxyToken(session: { readonly name: string; readonly uid: string }): string;
  readonly retryAfterSeconds: number;
  readonly now: () => Date;
}

/** Beyond the period, so that a session of 10 minutes can still get its token: TokenRequest's minimum is 600 s. */
const endGraceMs = 30_000;

export function createSessions(deps: SessionsDeps): Sessions {
  const { reconciler } = deps;
  const refusals = createRefusals();
  /** Number of logins being stored, by session. */
  const storing = new Map<string, { readonly subject: string; logins: number }>();

  const live = (subject: string): readonly TkaSignin[] =>
    reconciler.list().filter((signin) => signin.spec.subject === subject && isLive(signin, deps.now()));

  const refuseOneTooMany = (subject: string, name: string): void => {
    const names = new Set(live(subject).map((signin) => signin.metadata.name));
    for (const [other, entry] of storing) if (entry.subject === subject) names.add(other);
    names.delete(name);
    if (names.size < deps.sessionsPerSubject) return;
    throw new ApiError(429, 'rate_limited', `you have ${names.size} sessions, and no more are allowed`, {
      advice: ['log out of one: `tka status` lists them'],
      retryAfterSeconds: 60,
    });
  };

  const store = async (
    { subject, username, node, rule, periodMs }: SignIn,
    signal: AbortSignal,
  ): Promise<TkaSignin> => {
    await refuseUnbindable({ ...deps, refusals }, rule.role, rule.namespaces, signal);
    const scope = rule.namespaces === undefined ? {} : { namespaces: rule.namespaces };
    const spec = { subject, username, role: rule.role, ...scope };
    const name = signinName(spec);
    refuseOneTooMany(subject, name);
    const entry = storing.get(name) ?? { subject, logins: 0 };
    entry.logins += 1;
    storing.set(name, entry);
    try {
      const signin = await reconciler.signIn({ ...spec, node, endsAt: endOf(deps.now(), periodMs) }, signal);
      deps.onAdmitted(signin.metadata.uid);
      return signin;
    } finally {
      entry.logins -= 1;
      if (entry.logins === 0) storing.delete(name);
    }
  };

  const answer = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw translate(error, deps.retryAfterSeconds);
    });

  const viewOf = (signin: TkaSignin): SessionView => view(signin, reconciler.isReady(signin), deps.now().getTime());

  return {
    signIn: (request, signal) => answer(store(request, signal).then(viewOf)),
    list: (subject) => live(subject).toSorted(newestFirst).map(viewOf),
    usable: (name, signal) => answer(reconciler.usable(name, signal).then(viewOf)),
    end: (name, reason, signal) => answer(reconciler.end(name, reason, signal)),
    token: (name, signal) => answer(reconciler.token(name, signal)),
    proxyToken(name) {
      const signin = reconciler.get(name);
      if (signin === undefined) throw translate(new SessionNotFoundError(name), deps.retryAfterSeconds);
      return deps.proxyToken({ name, uid: signin.metadata.uid });
    },
  };
}

/** The end of a session, in whole seconds. */
export function endOf(now: Date, periodMs: number): Date {
  return new Date(Math.floor((now.getTime() + periodMs + endGraceMs) / 1000) * 1000);
}

async function refuseUnbindable(
  { bindable, reconciler, refusals, now }: SessionsDeps & { readonly refusals: Refusals },
  role: string,
  namespaces: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<void> {
  const [roles, scope, key] =
    namespaces === undefined
      ? ([bindable.clusterWide, 'in the whole cluster', 'roles.clusterWide'] as const)
      : ([bindable.namespaced, 'in namespaces', 'roles.namespaced'] as const);
  const refuse = (message: string, advice: string) => new ApiError(422, 'unprocessable', message, { advice: [advice] });
  const unbindable = () =>
    refuse(
      `tka may not bind the role ${role} ${scope}`,
      `ask the admin of tka to add the role to ${key} and to manifests/cluster/bindable-roles.yaml`,
    );
  if (!roles.includes(role)) throw unbindable();
  const missing = await Promise.all([
    reconciler.roleExists(role, signal).then(
      (exists) => {
        refusals.allowed(role);
        return exists ? undefined : `the ClusterRole ${role} does not exist in this cluster`;
      },
      (error: unknown) => {
        if (!(error instanceof ForbiddenError)) throw translate(error, 1);
        // The configuration lists it: an API server that has just started may not know it yet.
        throw refusals.isLasting(role, now().getTime()) ? unbindable() : notYet(role, error);
      },
    ),
    ...(namespaces ?? []).map(async (namespace) =>
      (await reconciler.namespaceExists(namespace, signal))
        ? undefined
        : `the namespace ${namespace} does not exist in this cluster`,
    ),
  ]);
  const message = missing.find((problem) => problem !== undefined);
  if (message !== undefined) throw refuse(message, 'ask your tailnet admin to correct the rule');
}

function notYet(role: string, cause: unknown): ApiError {
  return new ApiError(503, 'unavailable', `the API server does not let tka use the role ${role} yet`, {
    advice: ['retry in a moment: for some seconds after its start an API server refuses what is allowed'],
    retryAfterSeconds: 2,
    cause,
  });
}

function isLive({ metadata, spec }: TkaSignin, now: Date): boolean {
  return metadata.deletionTimestamp === undefined && Date.parse(spec.expiresAt) > now.getTime();
}

function newestFirst(a: TkaSignin, b: TkaSignin): number {
  const key = ({ metadata, spec }: TkaSignin) => `${metadata.creationTimestamp} ${spec.expiresAt} ${metadata.name}`;
  return key(a) < key(b) ? 1 : -1;
}

/** Reasons that retrying does not resolve: a person has to act first. A refusal is one once it has lasted. */
const lasting: ReadonlySet<string> = new Set(['RoleNotFound', 'NamespaceNotFound', 'Forbidden']);

function view({ metadata, spec, status }: TkaSignin, isReady: boolean, nowMs: number): SessionView {
  const { username, role, namespaces, expiresAt } = spec;
  const ready = findCondition(status?.conditions, 'Ready');
  const isBroken =
    ready?.status === 'False' &&
    lasting.has(ready.reason) &&
    !(ready.reason === 'Forbidden' && nowMs - Date.parse(ready.lastTransitionTime) < confirmedMs);
  return {
    name: metadata.name,
    username,
    role,
    ...(namespaces === undefined ? {} : { namespaces }),
    until: expiresAt,
    ready: isReady,
    ...(isBroken ? { problem: ready.message } : {}),
  };
}

function translate(error: unknown, retryAfterSeconds: number): unknown {
  const away = (message: string, advice: string) =>
    new ApiError(503, 'unavailable', message, { advice: [advice], retryAfterSeconds, cause: error });
  // The reconciler's own deadlines end in a TimeoutError; a caller that is gone gets no answer anyway.
  const isLate = error instanceof DOMException && error.name === 'TimeoutError';
  if (isLate || error instanceof ApiUnavailableError) return away('the API server is away', 'retry in a moment');
  const problem = installationProblem(error);
  if (problem !== undefined) {
    return away(
      `tka's installation in this cluster is incomplete: ${problem}`,
      `ask the cluster's administrator to ${reinstall}`,
    );
  }
  if (error instanceof SessionNotReadyError) return away('the session is not ready yet', 'retry in a moment');
  if (error instanceof SessionEndingError) {
    return new ApiError(409, 'session_ending', error.message, { advice: ['run `tka login` to renew it'] });
  }
  if (error instanceof ClockBehindError) {
    const needed = `${10 + Math.ceil(error.behindMs / 60_000)}m`;
    return new ApiError(422, 'unprocessable', error.message, {
      advice: [
        `log in with --period ${needed} or longer, or with --mode proxy`,
        "ask the admin of tka to set the clock of the server's machine",
      ],
    });
  }
  if (error instanceof SessionNotFoundError) {
    return new ApiError(404, 'not_found', 'the session has ended', { advice: ['run `tka login`'] });
  }
  if (error instanceof SessionFailedError) {
    return new ApiError(422, 'unprocessable', error.message, { advice: ['ask the admin of this cluster'] });
  }
  return error;
}
