/**
 * `tka status`: the caller's sessions at the server, with the contexts that use them and the time that is left.
 *
 * A context whose session is gone is listed as ended. Without the server it shows what this machine knows, then fails.
 */
import type { Session } from '../../node/http/contract.ts';
import { connect } from '../connect.ts';
import { readCredential } from '../credential-cache.ts';
import { UserError } from '../errors.ts';
import { kubeconfigPaths, readKubeconfig } from '../kubeconfig-file.ts';
import { type OwnContext, ownContexts, rememberedServer } from '../kubeconfig-entries.ts';
import { createWords, formatRemaining, printable, renderTable } from '../output.ts';
import type { Runtime } from '../runtime.ts';

export interface StatusFlags {
  readonly server?: string;
  readonly kubeconfig?: string;
  readonly output?: 'json';
  readonly timeoutMs: number;
}

export async function status(runtime: Runtime, flags: StatusFlags): Promise<void> {
  const contexts = ownContexts(readKubeconfig(kubeconfigPaths(runtime.env, flags.kubeconfig)).files);
  const connection = await connect(runtime, flags.server, { server: rememberedServer(contexts) });
  try {
    const { server, api } = connection;
    const local = contexts.filter((context) => context.server === server);
    let failure: UserError | undefined;
    let sessions: readonly Session[] = [];
    try {
      ({ sessions } = await api.sessions({ signal: runtime.signal, timeoutMs: flags.timeoutMs }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failure = error;
    }
    const rows = [
      ...sessions.map((session) => atServer(session, local, runtime)),
      ...onlyHere(sessions, local, failure, runtime),
    ];
    write(runtime, flags, server, rows, failure);
    if (failure !== undefined) throw failure;
  } finally {
    connection.close();
  }
}

interface Row {
  readonly session: string;
  readonly state: 'ready' | 'provisioning' | 'ended' | 'unknown';
  readonly contexts: readonly string[];
  /** One of the contexts is the current one. */
  readonly current: boolean;
  readonly username?: string;
  readonly role?: string;
  readonly namespaces?: readonly string[];
  readonly until?: string;
  readonly remainingSeconds?: number;
}

function atServer(session: Session, local: readonly OwnContext[], runtime: Runtime): Row {
  const mine = local.filter((context) => context.session === session.session);
  return {
    session: printable(session.session, 63),
    state: session.ready ? 'ready' : 'provisioning',
    contexts: mine.map(({ context }) => context),
    current: mine.some(({ current }) => current),
    username: printable(session.username, 200),
    role: printable(session.role, 200),
    ...(session.namespaces === undefined ? {} : { namespaces: session.namespaces.map((name) => printable(name, 63)) }),
    ...ending(session.until, runtime),
  };
}

function onlyHere(
  sessions: readonly Session[],
  local: readonly OwnContext[],
  failure: UserError | undefined,
  runtime: Runtime,
): Row[] {
  const gone = local.filter((context) => !sessions.some(({ session }) => session === context.session));
  return gone.map(({ server, session, context, current }) => {
    const until = readCredential(runtime.env, { server, session })?.until;
    const state = failure === undefined ? 'ended' : 'unknown';
    return { session, state, contexts: [context], current, ...(until === undefined ? {} : ending(until, runtime)) };
  });
}

function ending(until: string, runtime: Runtime): Pick<Row, 'until' | 'remainingSeconds'> {
  const end = Date.parse(until);
  if (Number.isNaN(end)) return {};
  const remainingSeconds = Math.max(0, Math.floor((end - runtime.now().getTime()) / 1000));
  return { until: new Date(end).toISOString(), remainingSeconds };
}

function write(
  runtime: Runtime,
  flags: StatusFlags,
  server: string,
  rows: readonly Row[],
  failure: UserError | undefined,
): void {
  if (flags.output === 'json') {
    runtime.stdout.write(`${JSON.stringify({ server, sessions: rows }, undefined, 2)}\n`);
  } else if (rows.length > 0) {
    const head = ['CURRENT', 'CONTEXT', 'SESSION', 'ROLE', 'STATE', 'LEFT'];
    runtime.stdout.write(renderTable([head, ...rows.map(cells)]));
  } else if (failure === undefined) {
    createWords(runtime, false).say(`Not logged in at ${server}. Log in with: tka login`);
  }
}

function cells(row: Row): readonly string[] {
  const role = `${row.role ?? '-'}${row.namespaces === undefined ? '' : ` (${row.namespaces.join(',')})`}`;
  const left =
    row.state === 'ended' || row.remainingSeconds === undefined ? '-' : formatRemaining(row.remainingSeconds * 1000);
  const contexts = row.contexts.length === 0 ? '-' : row.contexts.join(',');
  return [row.current ? '*' : '', contexts, row.session, role, row.state, left];
}
