/**
 * From a server to a session that works, in as few calls as it takes or stage by stage. Nothing on this machine changes.
 *
 * At once: POST login, which waits until the session is usable, with the server's facts asked beside it; then GET kubeconfig.
 * Stepwise: facts, whoami, POST login, GET login until it is provisioned, GET kubeconfig: each a stage to be seen.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LoginRequest, LoginResponse, Mode, Replica, WhoamiResponse } from '../../node/http/contract.ts';
import { type Api, OlderServerError, type ServerFacts } from '../api/api.ts';
import { NotTkaError } from '../api/answer.ts';
import { skewOf } from '../api/clock-skew.ts';
import type { ClusterAccess } from '../kubeconfig/cluster-access.ts';
import { exitCodes, RefusedError, UserError } from '../errors.ts';
import { describeGrant } from './grant.ts';
import { chooseRule, rolesOf } from '../../node/http/rules.ts';
import { printableWhoami } from './identity.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { printable } from '../terminal/output.ts';
import { createRetry, type Retry } from '../connection/retry.ts';
import { explainRefusal } from './explain-refusal.ts';
import type { Runtime } from '../runtime.ts';
import { type Deadline, fetchAccess, withinDeadline } from '../credential/fetch-access.ts';
import type { Stages } from './login-stages.ts';
import { isSessionName } from '../api/token.ts';
import type { LiveSession } from './session-data.ts';

/** A session that works, and the way to its cluster. Texts are fit to be shown. */
export interface OpenedSession extends Omit<LiveSession, 'server'> {
  readonly skewMs: number;
  /** What was asked for; undefined: the server chose. */
  readonly mode: Mode | undefined;
  readonly access: ClusterAccess;
  /** What the server says of its replicas; undefined where it says nothing of itself. */
  readonly replicas: readonly Replica[] | undefined;
}

export interface OpeningOptions extends Deadline {
  readonly api: Api;
  readonly request: LoginRequest;
  /** Undefined: proxy where the server offers it, else direct. */
  readonly mode: Mode | undefined;
  readonly stepwise: boolean;
  /** Whether the server is known to be one that this command can use; else it is asked first, before a session is opened. */
  readonly isKnown: boolean;
  readonly stages: Stages;
  readonly interaction: Interaction | undefined;
  readonly warn: (line: string) => void;
  readonly now: Runtime['now'];
  /** Work to do while the server provisions. */
  readonly meanwhile: () => Promise<unknown>;
}

export async function openSession(options: OpeningOptions): Promise<OpenedSession> {
  const prepared = options.stepwise ? await lookAround(options) : { request: options.request };
  return withinDeadline(options, async (signal) => {
    const retry = createRetry({ ...options, signal });
    const call: Call = { ...options, ...prepared, signal, retry };
    const { signedIn, facts } = await signIn(call).catch(async (error: unknown) => {
      throw await explainRefusal(error, call);
    });
    if (signedIn.session === undefined) await endUnnamed(call);
    const session = readSession(signedIn, options.server);
    for (const line of droppedLines(signedIn)) options.warn(line);
    options.stages.begin('usable');
    const mode = options.mode ?? preferredMode(facts);
    const access = await fetchUsable({ ...call, session: session.session, mode });
    options.stages.done();
    const { slug } = await import('../kubeconfig/slug.ts');
    const cluster = facts === undefined ? access.name.replace(/^tka-/, '') : slug(facts.cluster);
    const replicas = facts === undefined ? undefined : (facts.replicas ?? []);
    return { ...session, skewMs: skewOf(options.api, options.now), cluster, mode, access, replicas };
  });
}

/** What a login in steps knows before it asks for a session. */
interface Prepared {
  readonly request: LoginRequest;
  readonly facts?: ServerFacts | undefined;
  /** Whether the rules say that it will be granted. */
  readonly isForeseen?: boolean;
}

interface Call extends OpeningOptions, Prepared {
  readonly retry: Retry;
}

async function lookAround(options: OpeningOptions): Promise<Prepared> {
  const { api, stages, server, request } = options;
  const { facts, whoami } = await withinDeadline(options, async (signal) => {
    const retry = createRetry({ ...options, signal });
    const facts = await askFacts(api, server, { signal, retry });
    stages.done(facts === undefined ? server : `${facts.cluster} at ${server}`);
    stages.begin('identity');
    const whoami = await retry(() => unlessAbsent(api.whoami({ signal })));
    if (whoami !== undefined) stages.done(describeCaller(printableWhoami(whoami)));
    return { facts, whoami: whoami === undefined ? undefined : printableWhoami(whoami) };
  });
  // An older server does not say; a login tells.
  if (whoami === undefined) return { request, facts };
  stages.begin('grant');
  const chosen = await chooseRole(options, whoami);
  const forecast = chooseRule(whoami.rules, chosen);
  if (forecast.kind === 'chosen') {
    const period = chosen.period ?? forecast.rule.period;
    stages.done(describeGrant({ ...forecast.rule, period }));
  }
  return { request: { ...request, ...chosen }, facts, isForeseen: forecast.kind === 'chosen' };
}

function describeCaller({ username, node }: WhoamiResponse): string {
  return node === '' || node === username ? username : `${username} on ${node}`;
}

/** Where rules of different roles tie, the person at the terminal may say which. */
async function chooseRole({ interaction, request }: OpeningOptions, { rules }: WhoamiResponse): Promise<LoginRequest> {
  const forecast = chooseRule(rules, request);
  if (forecast.kind !== 'ambiguous' || interaction === undefined) return request;
  const roles = rolesOf(forecast.rules);
  if (roles.length < 2) return request;
  const choices = roles.map((role) => {
    const rule = forecast.rules.find((candidate) => candidate.role === role);
    return { label: role, ...(rule === undefined ? {} : { hint: describeGrant(rule) }) };
  });
  const index = await interaction.choose({ title: 'Several rules grant you access. Which role?' }, choices);
  const role = index === undefined ? undefined : roles[index];
  return role === undefined ? request : { ...request, role };
}

interface SignedIn {
  readonly signedIn: LoginResponse;
  readonly facts: ServerFacts | undefined;
}

async function signIn(call: Call): Promise<SignedIn> {
  const { api, server, stages, retry, signal } = call;
  // Where the rules say no, the server's refusal is what the grant's stage finds.
  if (call.isForeseen !== false) stages.begin('sign-in');
  const waitSeconds = Math.min(30, Math.max(1, Math.floor(call.timeoutMs / 1000)));
  const { meanwhile, request } = call;
  const asked = (wait: { readonly waitSeconds?: number }) =>
    retry(() => api.login(request, { signal, meanwhile, ...wait }));
  const [answer, facts] = call.stepwise
    ? [await asked({}), call.facts]
    : await besideFacts(call, () => asked({ waitSeconds }));
  if (call.isForeseen === false) stages.begin('sign-in');
  if (answer.state === 'ready') return { signedIn: answer.value, facts };
  const { session } = readSession(answer.value, server);
  stages.done(session);
  stages.begin('provisioning');
  for (;;) {
    const status = await retry(() => api.loginStatus({ session }, { signal, waitSeconds }));
    if (status.state === 'ready') return { signedIn: status.value, facts };
    await delay(status.retryAfterMs, undefined, { signal });
  }
}

/** The facts are asked for at the same time; a login does not wait long for them, nor fails without them. */
async function besideFacts<T>(call: Call, ask: () => Promise<T>): Promise<readonly [T, ServerFacts | undefined]> {
  const enough = new AbortController();
  const signal = AbortSignal.any([call.signal, enough.signal]);
  const retry = createRetry({ ...call, signal, warn: () => {} });
  const facts = askFacts(call.api, call.server, { signal, retry }).catch((error: unknown) =>
    error instanceof NewerServerError || error instanceof OlderServerError ? error : undefined,
  );
  try {
    if (!call.isKnown) {
      const first = await Promise.race([facts, delay(factsGraceMs, undefined, { signal })]);
      if (first instanceof UserError) throw first;
    }
    const [answer] = await Promise.allSettled([ask()]);
    const known = await Promise.race([facts, delay(factsGraceMs, undefined, { signal })]);
    // That the server no longer speaks our language says better why it did not understand the other call.
    if (known instanceof OlderServerError && answer.status === 'fulfilled') await endUnnamed(call);
    if (known instanceof UserError) throw known;
    if (answer.status === 'rejected') throw answer.reason;
    return [answer.value, known];
  } finally {
    enough.abort();
  }
}

const factsGraceMs = 1000;

/** A session without a name is all that the caller has there, and cannot be used. */
async function endUnnamed({ api, signal }: Call): Promise<void> {
  try {
    await api.logout({}, { signal, timeoutMs: 5000 });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof UserError)) throw error;
  }
}

class NewerServerError extends UserError {}

/** Undefined for a server from before there were any. */
async function askFacts(
  api: Api,
  server: string,
  { signal, retry }: { readonly signal: AbortSignal; readonly retry: Retry },
): Promise<ServerFacts | undefined> {
  const facts = await retry(() => unlessAbsent(api.wellKnown({ signal, timeoutMs: 5000 })));
  if (facts?.api === undefined || facts.api.includes('v1alpha1')) return facts;
  const versions = facts.api.slice(0, 5).map((version) => printable(version, 20));
  throw new NewerServerError(`${server} is newer than this command: it speaks ${versions.join(', ')}, not v1alpha1`, [
    'Update tka on this machine. `tka version` shows both versions.',
  ]);
}

/** Undefined where the server has no such call. */
async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const isAbsent = (error instanceof RefusedError || error instanceof NotTkaError) && error.status === 404;
    if (isAbsent) return undefined;
    throw error;
  }
}

function preferredMode(facts: ServerFacts | undefined): Mode | undefined {
  return (['proxy', 'direct'] as const).find((mode) => facts?.modes.includes(mode));
}

async function fetchUsable(call: Call & { readonly session: string }): Promise<ClusterAccess> {
  try {
    return await call.retry(() => fetchAccess(call));
  } catch (error) {
    if (!(error instanceof RefusedError) || (error.status !== 401 && error.status !== 404)) throw error;
    throw endedError(call.session, call.server, error);
  }
}

/** What the policy was meant to grant, perhaps, and does not. */
function droppedLines({ dropped = [] }: LoginResponse): readonly string[] {
  const lines = dropped
    .slice(0, 3)
    .map(
      ({ rule, reason }) =>
        `a rule of the tailnet policy was dropped: ${printable(reason, 200)}: ${printable(rule, 200)}`,
    );
  const more = dropped.length - lines.length;
  return more > 0 ? [...lines, `${more} more rules were dropped: tka roles`] : lines;
}

/** Exit code 3: it was revoked, or the policy changed. */
export function endedError(session: string, server: string, cause?: unknown): UserError {
  const advice = [`Log in again: tka login --server ${server}`];
  return new UserError(`the session ${session} at ${server} has ended`, advice, exitCodes.denied, cause);
}

function readSession(
  answer: LoginResponse | undefined,
  server: string,
): Pick<OpenedSession, 'session' | 'username' | 'role' | 'namespaces' | 'until'> {
  const until = new Date(answer?.until ?? '');
  if (answer?.session === undefined || Number.isNaN(until.getTime())) {
    throw new UserError(`${server} is older than this command: it does not name the session it opened`, [
      'Have the server updated, or use the command that came with it. `tka version` shows both versions.',
    ]);
  }
  const { session, username, role, namespaces } = answer;
  if (!isSessionName(session)) {
    throw new UserError(`${server} returned an invalid session name`, ['Check the name of the server.']);
  }
  return {
    session,
    username: printable(username, 200),
    role: printable(role, 200),
    ...(namespaces === undefined ? {} : { namespaces: namespaces.slice(0, 1000).map((name) => printable(name, 63)) }),
    until,
  };
}
