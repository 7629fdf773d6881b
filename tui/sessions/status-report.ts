/** The sessions at some servers as they are now: asked for as often as one likes, over connections that stay open. */
import type { Session } from '../../node/http/contract.ts';
import { describeSkew, skewOf } from '../api/clock-skew.ts';
import { lookMs, type Reached, reach } from '../connection/connect.ts';
import { exitCodes, UserError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { readOwnContexts } from '../kubeconfig/own-contexts.ts';
import { nameScope } from './grant.ts';
import { formatRemaining, renderTableWithin } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import type { SameServer } from '../trust/same-server.ts';
import type { SessionData } from './session-data.ts';
import { listSessions, type SessionRow } from './session-list.ts';

export interface ServerReport {
  readonly server: string;
  readonly sessions: readonly SessionRow[];
  /** The server did not answer: the rows are what this machine knows. */
  readonly failure?: UserError;
  readonly warning?: string;
}

export interface Reporter {
  /** Rejects only when aborted, and for bugs. */
  read(): Promise<readonly ServerReport[]>;
  close(): void;
}

export interface ReporterOptions {
  readonly servers: readonly string[];
  /** Shows this one alone. */
  readonly session?: string | undefined;
  readonly flags: Pick<GlobalFlags, 'config' | 'timeoutMs'> & { readonly kubeconfig?: string };
  readonly warn: (line: string) => void;
  readonly onWait?: (line: string) => void;
}

export function createReporter(runtime: Runtime, options: ReporterOptions): Reporter {
  const { servers, session, flags, warn, onWait } = options;
  const { signal, now } = runtime;
  const connections = new Map<string, Reached>();
  const { config, timeoutMs = lookMs } = flags;
  const connected = async (server: string): Promise<Reached> => {
    const known = connections.get(server);
    if (known !== undefined) return known;
    const target = { server, ...(config === undefined ? {} : { config }) };
    const reached = await reach(runtime, target, { purpose: 'look', warn, onWait, signal });
    connections.set(server, reached);
    return reached;
  };
  const ask = async (server: string): Promise<ServerReport> => {
    let sessions: readonly Session[] | undefined;
    let failure: UserError | undefined;
    let skewMs = 0;
    let isSame: SameServer | undefined;
    try {
      const reached = await connected(server);
      const { api } = reached;
      isSame = reached.isSame;
      ({ sessions } = await api.sessions({ signal, timeoutMs }));
      skewMs = skewOf(api, now);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      failure = error;
    }
    const contexts = readOwnContexts(runtime.env, flags.kubeconfig);
    const warning = describeSkew(skewMs, server);
    const rows = listSessions(runtime, { server, sessions, contexts, isSame, skewMs });
    return {
      server,
      sessions: session === undefined ? rows : rows.filter((row) => row.session === session),
      ...(failure === undefined ? {} : { failure }),
      ...(warning === undefined ? {} : { warning }),
    };
  };
  return {
    read: () => Promise.all(servers.map(ask)),
    close: () => {
      for (const connection of connections.values()) connection.close();
    },
  };
}

/**
 * `passedMs`: how long ago the reports were made. What `width` has no room for goes, column by column, and the time that is
 * left last.
 */
export function renderReports(
  reports: readonly ServerReport[],
  { passedMs = 0, width = Number.POSITIVE_INFINITY } = {},
): string {
  const rows = reports.flatMap(({ server, sessions, failure }) => {
    const isAway = failure?.exitCode === exitCodes.unreachable;
    if (sessions.length === 0) {
      const state = failure === undefined ? 'no session' : isAway ? 'unreachable' : 'failed';
      return reports.length < 2 ? [] : [[server, '', '-', '-', '-', state, '-']];
    }
    return sessions.map((row) => [server, ...cells(isAway ? { ...row, state: 'unreachable' } : row, passedMs)]);
  });
  if (rows.length === 0) return '';
  // With a single server its column is left out.
  const skip = reports.length < 2 ? 1 : 0;
  return renderTableWithin(
    [head, ...rows].map((row) => row.slice(skip)),
    { width, expendable },
  );
}

const head = ['SERVER', 'CURRENT', 'CONTEXT', 'SESSION', 'ROLE', 'STATE', 'LEFT'];
const expendable = ['SESSION', 'SERVER', 'STATE', 'CURRENT', 'CONTEXT'];

/** As data: all sessions in one list, and each server with its own; of one server, its name as well. */
export function asData(reports: readonly ServerReport[]): object {
  const servers = reports.map(({ server, sessions, failure }) => ({
    server,
    sessions: sessions.map((one): SessionData => ({ server, ...one })),
    ...(failure === undefined ? {} : { error: failure.message }),
  }));
  const [only, ...others] = servers;
  return {
    ...(only === undefined || others.length > 0 ? {} : { server: only.server }),
    sessions: servers.flatMap(({ sessions }) => sessions),
    servers,
  };
}

export function sessionNames(reports: readonly ServerReport[]): readonly string[] {
  return reports.flatMap(({ sessions }) => sessions.map(({ session }) => session));
}

type ShownRow = Omit<SessionRow, 'state'> & { readonly state: SessionRow['state'] | 'unreachable' };

function cells(row: ShownRow, passedMs: number): readonly string[] {
  const role = `${row.role ?? '-'}${row.namespaces === undefined ? '' : ` (${nameScope(row.namespaces)})`}`;
  const contexts = row.contexts.length === 0 ? '-' : row.contexts.join(',');
  const { remainingSeconds } = row;
  const left =
    row.state === 'ended' || remainingSeconds === undefined ? '-' : formatRemaining(remainingSeconds * 1000 - passedMs);
  return [row.current ? '*' : '', contexts, row.session, role, row.state, left];
}
