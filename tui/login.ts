/**
 * The stages of a login, the same for a screen and a script: ask for a session, wait until it works, fetch its credential,
 * put it where kubectl finds it. Until the last stage nothing is written.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LoginRequest, LoginResponse, Mode } from '../node/http/contract.ts';
import type { Api, CallOptions, Eventually } from './api.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { UnreachableError, UserError } from './errors.ts';
import { printable } from './output.ts';
import type { GlobalFlags, PlacementFlags, WishFlags } from './flags.ts';
import type { Interaction } from './interaction.ts';
import type { Runtime } from './runtime.ts';
import { isSessionName, tokenExpiry } from './token.ts';

export type OpeningStage = 'requesting' | 'provisioning' | 'fetching';

export interface LoginOptions {
  readonly api: Api;
  readonly server: string;
  readonly request: LoginRequest;
  readonly mode?: Mode | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onStage?: (stage: OpeningStage) => void;
  /** Work to do while the server provisions. */
  readonly meanwhile?: () => Promise<unknown>;
}

/** A session that works, and the way to its cluster. Texts are fit to be shown. */
export interface UsableSession {
  readonly session: string;
  readonly username: string;
  readonly role: string;
  readonly namespaces?: readonly string[];
  readonly until: Date;
  readonly access: ClusterAccess;
}

export async function openSession(options: LoginOptions): Promise<UsableSession> {
  const { api, server, request, mode, onStage } = options;
  return withinDeadline(options, async (signal) => {
    onStage?.('requesting');
    const waitSeconds = Math.min(30, Math.max(1, Math.floor(options.timeoutMs / 1000)));
    const meanwhile = options.meanwhile === undefined ? {} : { meanwhile: options.meanwhile };
    const first = await api.login(request, { signal, waitSeconds, ...meanwhile });
    if (first.state === 'pending') onStage?.('provisioning');
    const answer = await settled(first, (call) => api.loginStatus(call), signal);
    const session = readSession(answer, server);
    onStage?.('fetching');
    return { ...session, access: await fetchAccess({ api, server, session: session.session, mode, signal }) };
  });
}

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
    import('./cluster-access.ts'),
  ]);
  return readClusterAccess(kubeconfig, server);
}

/** When the token ends: what it says itself, else what is known of its session; never after the session. */
export function accessExpiry(access: Pick<ClusterAccess, 'token'>, until: Date): Date {
  const own = tokenExpiry(access.token);
  return own === undefined || own > until ? until : own;
}

/** Runs until `timeoutMs` are over, then fails saying so. */
export async function withinDeadline<T>(
  { server, timeoutMs, signal }: Pick<LoginOptions, 'server' | 'timeoutMs' | 'signal'>,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await run(AbortSignal.any([signal, deadline]));
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted || error instanceof UserError) throw error;
    throw new UnreachableError(`${server} was not done within ${Math.ceil(timeoutMs / 1000)} s`, [
      'Try again, or allow more time with --timeout 2m. `tka status` shows whether the session came about.',
    ]);
  }
}

async function settled<T>(
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

function readSession(answer: LoginResponse, server: string): Omit<UsableSession, 'access'> {
  const { session, username, role, namespaces } = answer;
  const until = new Date(answer.until);
  if (session === undefined || !isSessionName(session) || Number.isNaN(until.getTime())) {
    throw new UserError(`the answer of ${server} names no session that this command understands`, [
      'The server may be older than the command: compare them with `tka version`.',
    ]);
  }
  return {
    session,
    username: printable(username, 200),
    role: printable(role, 200),
    ...(namespaces === undefined ? {} : { namespaces: namespaces.slice(0, 100).map((name) => printable(name, 63)) }),
    until,
  };
}

// What follows is the contract of the whole login, which takes in what is above.

/** In this order. */
export type LoginStage = 'server' | 'identity' | 'grant' | 'sign-in' | 'provisioning' | 'usable' | 'kubeconfig';

/** A login that rejects does so in the stage that was `running`. */
export interface StageReport {
  readonly stage: LoginStage;
  readonly state: 'running' | 'done';
  /** Printable; what the stage found, for `done`. */
  readonly detail?: string;
}

export interface LogInOptions {
  readonly flags: GlobalFlags & WishFlags & PlacementFlags;
  readonly interaction?: Interaction | undefined;
  readonly onStage?: (report: StageReport) => void;
  /** Each stage by itself, `identity` and `grant` included, so that a person can follow; else as few calls as it takes. */
  readonly stepwise?: boolean;
  /** Warnings that do not stop it. */
  readonly warn: (line: string) => void;
  /** Default: the runtime's. */
  readonly signal?: AbortSignal;
}

/** A session that works, and where kubectl finds it. Texts are fit to be shown. */
export interface LoggedIn {
  readonly server: string;
  /** What the server calls its cluster, `[a-z0-9.-]{1,63}`. */
  readonly cluster: string;
  readonly session: string;
  readonly username: string;
  readonly role: string;
  /** Absent: the whole cluster. */
  readonly namespaces?: readonly string[];
  readonly until: Date;
  readonly mode: Mode;
  /** Where kubectl goes. */
  readonly url: string;
  readonly context: string;
  /** Whether the context is the current one. */
  readonly current: boolean;
  /** The file that has the context. */
  readonly kubeconfig: string;
}

export function logIn(_runtime: Runtime, _options: LogInOptions): Promise<LoggedIn> {
  throw new Error('not written yet');
}
