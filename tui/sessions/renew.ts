/**
 * Moves the end of a session: its role and scope stay, and so do its contexts. The server knows no renewal but a login that
 * comes to the same session, so it is first made sure that it would.
 */
import type { Mode, Session } from '../../node/http/contract.ts';
import { describeSkew } from '../api/clock-skew.ts';
import { type Reached, reach } from '../connection/connect.ts';
import { exitCodes, usageError, UserError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { describeScope } from './grant.ts';
import { chooseRule, isSameScope } from '../../node/http/rules.ts';
import { printableWhoami } from './identity.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { kubeconfigPaths, readKubeconfig } from '../kubeconfig/file.ts';
import { type OwnContext, ownContexts, ownEntries, lastServer } from '../kubeconfig/entries.ts';
import { endedError, openSession } from './open-session.ts';
import { checkContext, storeCredential, storeEnd, writeContext } from './context.ts';
import { printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { sameServers } from '../trust/same-server.ts';
import { createStages, type StageReport } from './login-stages.ts';
import { readCredential } from '../credential/cache.ts';
import { isSessionName } from '../api/token.ts';
import { readLoginRequest } from './login-request.ts';
import type { LiveSession } from './session-data.ts';

export interface RenewOptions {
  readonly flags: GlobalFlags & { readonly session?: string; readonly period?: string; readonly kubeconfig?: string };
  readonly interaction?: Interaction | undefined;
  readonly onStage?: (report: StageReport) => void;
  readonly warn: (line: string) => void;
  /** Default: the runtime's. */
  readonly signal?: AbortSignal;
}

export interface Renewed extends LiveSession {
  readonly skewMs: number;
  readonly contexts: readonly string[];
  /** One of them is the current one. */
  readonly current: boolean;
}

/** There is no session to renew. */
export class NoSessionError extends UserError {
  constructor(message: string, advice: readonly string[], cause?: unknown) {
    super(message, advice, exitCodes.denied, cause);
    this.name = 'NoSessionError';
  }
}

export async function renewSession(runtime: Runtime, options: RenewOptions): Promise<Renewed> {
  const { flags, interaction, warn, signal = runtime.signal } = options;
  const { period } = await readLoginRequest(flags.period === undefined ? {} : { period: flags.period });
  const { files } = readKubeconfig(kubeconfigPaths(runtime.env, flags.kubeconfig));
  const contexts = ownContexts(files);
  const meant = whichSession(runtime.env, flags, contexts);
  const target = meant.server === undefined ? flags : { ...flags, server: meant.server };
  const remembered = { server: lastServer(contexts, sameServers(runtime.env)) };
  const reached = await reach(runtime, target, { purpose: 'act', interaction, remembered, warn, signal });
  try {
    const { server, api, proxy, goesDirect, addressFor, isSame } = reached;
    const timeoutMs = flags.timeoutMs ?? 60_000;
    const session = await findSession(reached, { ...options, meant: meant.session, contexts, signal });
    const own = ownEntries(files, { server, session: session.session }, isSame);
    if (own !== undefined) await checkContext(runtime, { server, isSame, flags, warn, signal });
    const opened = await openSession({
      api,
      server,
      request: { role: session.role, ...(period === undefined ? {} : { period }) },
      mode: modeIn(own?.args ?? []),
      stepwise: false,
      // It has just listed its sessions.
      isKnown: true,
      stages: createStages(options.onStage),
      interaction: undefined,
      warn,
      now: runtime.now,
      timeoutMs,
      signal,
      meanwhile: () => import('../kubeconfig/cluster-access.ts'),
    });
    if (opened.session !== session.session) throw otherSession(session, opened.session);
    const skewed = describeSkew(opened.skewMs, server);
    if (skewed !== undefined) warn(skewed);
    if (own !== undefined) {
      const { kubeconfig } = flags;
      const placement = { inlineToken: own.isInline, insecureSkipTlsVerify: own.skipsTlsVerify };
      const placed = { ...placement, ...(kubeconfig === undefined ? {} : { kubeconfig }) };
      await writeContext(runtime, {
        server,
        proxy,
        goesDirect,
        addressFor,
        isSame,
        opened,
        flags: placed,
        warn,
        signal,
      });
    } else if (readCredential(runtime.env, { server, session: opened.session }) !== undefined) {
      storeCredential(runtime.env, { server, opened });
      storeEnd(runtime.env, { server, opened, now: runtime.now() });
    }
    const { access: _, mode: __, ...renewed } = opened;
    const mine = contexts.filter((context) => isSame(context.server, server) && context.session === opened.session);
    const current = mine.some((context) => context.current);
    return { server, ...renewed, contexts: mine.map(({ context }) => context), current };
  } finally {
    reached.close();
  }
}

interface Meant {
  /** Undefined: as the flags have it. */
  readonly server?: string | undefined;
  /** Undefined: the only one at the server. */
  readonly session?: string | undefined;
}

/** --session, else TKA_SESSION, else the current context's, else the only one of the kubeconfig. */
function whichSession(env: Runtime['env'], flags: RenewOptions['flags'], contexts: readonly OwnContext[]): Meant {
  const isServerGiven = flags.server !== undefined || flags.cluster !== undefined;
  const named = flags.session ?? (isServerGiven ? undefined : env['TKA_SESSION']);
  if (named !== undefined && named !== '') {
    const known = contexts.find(({ session }) => session === named);
    const isOfShell = flags.session === undefined && Boolean(env['TKA_SERVER']);
    return { session: named, server: isServerGiven || isOfShell ? undefined : known?.server };
  }
  if (isServerGiven) return {};
  const [only, ...others] = contexts;
  return contexts.find(({ current }) => current) ?? (others.length === 0 ? (only ?? {}) : {});
}

interface Search extends RenewOptions {
  readonly meant: string | undefined;
  readonly contexts: readonly OwnContext[];
  readonly signal: AbortSignal;
}

/** Throws if there is none, or if a login would open another session. */
async function findSession({ api, server, isSame }: Reached, search: Search): Promise<Session> {
  const { signal, flags } = search;
  const call = { signal, ...(flags.timeoutMs === undefined ? {} : { timeoutMs: flags.timeoutMs }) };
  const [{ sessions }, whoami] = await Promise.all([api.sessions(call), api.whoami(call)]);
  const session = await choose(sessions, { server, isSame }, search);
  if (!isSessionName(session.session)) {
    throw new UserError(`${server} returned an invalid session name`, ['Check the name of the server.']);
  }
  const { rules } = printableWhoami(whoami);
  const forecast = chooseRule(rules, session);
  if (forecast.kind !== 'chosen' || isSameScope(forecast.rule.namespaces, session.namespaces)) return session;
  const role = printable(session.role, 253);
  throw new UserError(
    `the session ${session.session} cannot be renewed: the policy now grants ${role} ${describeScope(forecast.rule.namespaces)}, not ${describeScope(session.namespaces?.map((name) => printable(name, 63)))}`,
    [`It stays active until it expires. To open one with the new scope: tka login --server ${server} --role ${role}`],
    exitCodes.denied,
  );
}

async function choose(
  sessions: readonly Session[],
  { server, isSame }: Pick<Reached, 'server' | 'isSame'>,
  { meant, contexts, interaction }: Search,
): Promise<Session> {
  const find = (name: string | undefined) => sessions.find(({ session }) => session === name);
  if (meant !== undefined) {
    const session = find(meant);
    if (session !== undefined) return session;
    throw noneCalled(printable(meant, 63), server, { sessions, contexts });
  }
  const current = find(contexts.find((context) => context.current && isSame(context.server, server))?.session);
  const [only, ...others] = sessions;
  if (current !== undefined) return current;
  if (only === undefined) {
    throw new NoSessionError(`you have no session at ${server}`, [`Log in: tka login --server ${server}`]);
  }
  if (others.length === 0) return only;
  const labels = sessions.map(({ session, role }) => ({ label: printable(session, 63), hint: printable(role, 100) }));
  const index = await interaction?.choose({ title: 'Which session?' }, labels);
  const chosen = index === undefined ? undefined : sessions[index];
  if (chosen !== undefined) return chosen;
  throw usageError(`you have several sessions at ${server}: ${labels.map(({ label }) => label).join(', ')}`, [
    'Choose one: --session NAME',
  ]);
}

/** One that a context here is of has ended; another name may as well be mistyped. */
function noneCalled(
  name: string,
  server: string,
  { sessions, contexts }: Pick<Search, 'contexts'> & { readonly sessions: readonly Session[] },
): NoSessionError {
  const { message, advice } = endedError(name, server);
  if (sessions.length === 0 || contexts.some(({ session }) => session === name)) {
    return new NoSessionError(message, advice);
  }
  const names = sessions.slice(0, 5).map(({ session }) => printable(session, 63));
  return new NoSessionError(`you have no session ${name} at ${server}`, [`Your sessions: ${names.join(', ')}`]);
}

function otherSession({ session }: Session, other: string): UserError {
  return new UserError(`the session ${session} was not renewed: the policy now grants another session, ${other}`, [
    'Log in to use it: tka login',
  ]);
}

/** As the plugin of its entry asks for the token. */
function modeIn(args: readonly string[]): Mode | undefined {
  return (['proxy', 'direct'] as const).find((mode) => args.includes(`--mode=${mode}`));
}
