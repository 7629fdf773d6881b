/**
 * What the home screen asks of the world, and how: through the same functions as the commands. All of it loads on demand, so
 * that nothing stands between the start and the first frame.
 */
import type { Cluster, FindOptions, Found } from '../../discovery/index.ts';
import { RefusedError } from '../../errors.ts';
import type { GlobalFlags, LoginRequestFlags } from '../../flags.ts';
import { isSameScope, parseDurationMs } from '../../../node/http/rules.ts';
import type { Interaction } from '../../terminal/interaction.ts';
import type { Renewed } from '../../sessions/renew.ts';
import type { Runtime } from '../../runtime.ts';
import type { SessionRow } from '../../sessions/session-list.ts';
import type { Access, HomeSession, Problem, SessionRequest } from './state.ts';
import { type LoginRun, startLogin } from '../login/run.ts';
import { reasonOf } from '../login/words.ts';

export interface HomeServices {
  /** As findClusters (discovery/index.ts). */
  findClusters(options: Pick<FindOptions, 'signal' | 'onChange'>): Promise<Found>;
  /** Rejects only when aborted: that it failed is an answer. */
  readonly readAccess: (cluster: Cluster, signal: AbortSignal) => Promise<Access>;
  /** What this machine knows of a server that does not answer. */
  readonly recallAccess: (cluster: Cluster, signal: AbortSignal) => Promise<Access>;
  startLogin(cluster: Cluster, request: SessionRequest): LoginRun;
  /** Moves the end of the session. */
  renew(
    cluster: Cluster,
    session: string,
    options: RenewOptions,
  ): Promise<Pick<Renewed, 'until' | 'skewMs' | 'contexts'>>;
  logOut(cluster: Cluster, session: string, options: LogOutOptions): Promise<{ readonly contexts: readonly string[] }>;
  /** Makes the session's context kubectl's current one. */
  use(cluster: Cluster, session: string, signal: AbortSignal): Promise<{ readonly context: string }>;
  /** Owns the terminal while it runs. Resolves to the shell's exit code. */
  runShell(cluster: Cluster, request: SessionRequest): Promise<number>;
}

export interface LogOutOptions {
  readonly signal: AbortSignal;
  readonly warn: (line: string) => void;
}

export interface RenewOptions extends LogOutOptions {
  readonly interaction: Interaction;
}

export function createHomeServices(runtime: Runtime, flags: GlobalFlags): HomeServices {
  return {
    async findClusters(options) {
      const [{ findClusters }, { namedServer }] = await Promise.all([
        import('../../discovery/index.ts'),
        import('../../config/server-url.ts'),
      ]);
      const named = await namedServer(runtime, flags);
      return findClusters(runtime, { ...options, config: flags.config, named: named === undefined ? [] : [named] });
    },
    readAccess: (cluster, signal) => readHomeAccess(runtime, flags, cluster, signal),
    recallAccess: (cluster) => recallHomeAccess(runtime, cluster),
    startLogin: (cluster, request) => startLogin(runtime, { flags: { ...flagsFor(flags, cluster), ...request } }),
    async renew(cluster, session, options) {
      const { renewSession } = await import('../../sessions/renew.ts');
      return renewSession(runtime, { ...options, flags: { ...flagsFor(flags, cluster), session } });
    },
    async logOut({ server }, session, options) {
      const { logOut } = await import('../../sessions/logout.ts');
      return logOut(runtime, { ...options, server, session, flags });
    },
    async use({ server }, session, signal) {
      const { useContext } = await import('../../sessions/use-context.ts');
      return useContext(runtime, { name: session, server, signal });
    },
    async runShell(cluster, request) {
      const [{ runShell }, { plainInteraction }] = await Promise.all([
        import('../../shell/shell.ts'),
        import('../../terminal/interaction.ts'),
      ]);
      return runShell(
        runtime,
        { ...flagsFor(flags, cluster), ...request },
        { interaction: plainInteraction(runtime, flags) },
      );
    },
  };
}

/**
 * The flags that mean this cluster. A server that was only discovered, and is not trusted, goes by the cluster's name: naming it
 * with --server would count as trusting it.
 */
export function flagsFor(
  given: GlobalFlags,
  { name, server, source, trust }: Cluster,
): GlobalFlags & LoginRequestFlags {
  const isFound = source === 'tailnet' && trust !== 'pinned';
  return { ...withoutServer(given), ...(isFound ? { cluster: name } : { server }) };
}

function withoutServer(given: GlobalFlags): GlobalFlags {
  const { server: _server, port: _port, cluster: _cluster, ...flags } = given;
  return flags;
}

/** What went wrong, for a person. Anything unforeseen is a fault of ours. */
export function problemOf(error: unknown): Problem {
  const reason = reasonOf(error);
  if (reason === undefined) {
    return {
      message: 'This is a bug in tka: please report it.',
      advice: ['TKA_DEBUG=1 and the command itself show more.'],
    };
  }
  return error instanceof RefusedError && error.code !== undefined ? { ...reason, code: error.code } : reason;
}

async function readHomeAccess(
  runtime: Runtime,
  flags: GlobalFlags,
  { server }: Cluster,
  signal: AbortSignal,
): Promise<Access> {
  const [{ reach }, { readAccess }, { readPeriodMs }, { isSessionName }] = await Promise.all([
    import('../../connection/connect.ts'),
    import('../../sessions/caller-access.ts'),
    import('../../credential/cache.ts'),
    import('../../api/token.ts'),
  ]);
  try {
    const connection = await reach(
      runtime,
      { ...withoutServer(flags), server },
      { purpose: 'look', warn: () => undefined, signal },
    );
    try {
      const { whoami, sessions } = await readAccess(runtime, { api: connection.api, server, signal });
      const { username, rules, dropped } = whoami;
      return {
        state: 'known',
        username,
        rules,
        dropped: dropped.map(({ rule, reason }) => `${rule}: ${reason}`),
        sessions: sessions.map((session) =>
          toHomeSession(
            session,
            rules,
            runtime.now().getTime(),
            isSessionName(session.session)
              ? readPeriodMs(runtime.env, { server, session: session.session })
              : undefined,
          ),
        ),
      };
    } finally {
      connection.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return { state: error instanceof RefusedError && error.status === 403 ? 'refused' : 'failed', ...problemOf(error) };
  }
}

async function recallHomeAccess(runtime: Runtime, { server, answer }: Cluster): Promise<Access> {
  const [{ ownContextsHere }, { listSessions }] = await Promise.all([
    import('../../connection/last-server.ts'),
    import('../../sessions/session-list.ts'),
  ]);
  const contexts = ownContextsHere(runtime.env);
  const now = runtime.now().getTime();
  const sessions = listSessions(runtime, { server, sessions: undefined, contexts }).map((row) =>
    toHomeSession(row, [], now),
  );
  const before = { state: 'known', username: '', rules: [], dropped: [], sessions } as const;
  return { state: 'failed', message: answer.state === 'away' ? answer.reason : '', advice: [], before };
}

type Rules = Extract<Access, { readonly state: 'known' }>['rules'];

export function toHomeSession(row: SessionRow, rules: Rules, now: number, own?: number): HomeSession {
  const { username: _username, until, remainingSeconds, ...known } = row;
  const rule = rules.find(({ role, namespaces }) => role === row.role && isSameScope(namespaces, row.namespaces));
  const period = own ?? (rule === undefined ? undefined : parseDurationMs(rule.period));
  return {
    ...known,
    ...(period === undefined ? {} : { periodMs: period }),
    ...endOf(until, remainingSeconds, now),
  };
}

/** The server's clock may be another: then what it says is left counts, not when it says that will be over. */
function endOf(until: string | undefined, remainingSeconds: number | undefined, now: number): { endsAt?: number } {
  if (until === undefined || remainingSeconds === undefined) return {};
  const bySeconds = now + remainingSeconds * 1000;
  const byDate = Date.parse(until);
  return { endsAt: Math.abs(bySeconds - byDate) > 60_000 ? bySeconds : byDate };
}
