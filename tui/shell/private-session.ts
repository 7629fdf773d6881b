/**
 * A session for one child process: its entries are in a private kubeconfig, and it ends with the child, unless it was there
 * before or something else uses it.
 *
 * The order of things keeps two shells from ending each other's session: a shell first records that it is opening one at the
 * server, then waits for those that are just ending one there, then looks which sessions there are, and only then logs in. Who
 * opens closes.
 */
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from '../../node/http/contract.ts';
import type { Api } from '../api/api.ts';
import { reach } from '../connection/connect.ts';
import { exitCodes, RefusedError, UserError } from '../errors.ts';
import type { GlobalFlags, LoginRequestFlags } from '../flags.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { userKubeconfigs } from '../kubeconfig/file.ts';
import type { LoggedIn, LoginStage } from '../sessions/login.ts';
import { createRetry, type RetryOptions } from '../connection/retry.ts';
import type { Runtime } from '../runtime.ts';
import { sameServers } from '../trust/same-server.ts';
import { type Deadline, withinDeadline } from '../credential/fetch-access.ts';
import { cleanUpAfterCrashes } from './cleanup.ts';
import { type Ended, endSession } from './ending.ts';
import { ownerOf, stateOf } from '../files/process-owner.ts';
import {
  createDirectory,
  kubeconfigIn,
  listRecords,
  type Registered,
  type ShellRecord,
  withRecords,
  writeRecord,
} from './records.ts';
import { isSessionName } from '../api/token.ts';

export interface PrivateSession {
  readonly login: LoggedIn;
  readonly kubeconfig: string;
  /** Ends the session where nothing else uses it, and removes the files. `signal` gives up the call to the server. */
  close(signal: AbortSignal): Promise<Ended>;
}

export interface OpenOptions {
  readonly interaction?: Interaction | undefined;
  readonly warn: (line: string) => void;
  /** No word of what was cleaned up before. */
  readonly quiet: boolean;
}

export async function openPrivateSession(
  runtime: Runtime,
  flags: GlobalFlags & LoginRequestFlags,
  { interaction, warn, quiet }: OpenOptions,
): Promise<PrivateSession> {
  const { signal } = runtime;
  await cleanUpAfterCrashes(runtime, { quiet });
  const reached = await reach(runtime, flags, { purpose: 'act', interaction, warn, signal });
  let registered: Registered | undefined;
  let before: readonly string[] | undefined;
  let stage: LoginStage = 'server';
  const close = async (giveUp: AbortSignal): Promise<Ended> => {
    const directory = registered?.directory;
    if (directory === undefined) return { outcome: 'nothing' };
    return endSession(runtime, directory, { signal: giveUp, warn, isStillOurs: ({ phase }) => phase !== 'ending' });
  };
  try {
    registered = await register(runtime, reached.server);
    const { timeoutMs = 60_000 } = flags;
    before = await sessionsBefore(reached.api, { server: reached.server, timeoutMs, signal, now: runtime.now, warn });
    registered = await amend(runtime, registered, before === undefined ? {} : { before }, signal);
    const { logIn } = await import('../sessions/login.ts');
    const login = await logIn(runtime, {
      flags: {
        ...withoutServer(flags),
        server: reached.server,
        kubeconfig: kubeconfigIn(registered.directory),
        use: true,
      },
      interaction,
      warn,
      onStage: (report) => (stage = report.stage),
    });
    const { session, until } = login;
    const opened = before?.includes(session) === false;
    const changes = { phase: 'open', session, until: until.toISOString(), opened } as const;
    registered = await amend(runtime, registered, changes, signal);
    return { login, kubeconfig: login.kubeconfig, close };
  } catch (error) {
    const deadline = AbortSignal.timeout(5000);
    const mayBeOpen = stage !== 'server' && !(error instanceof RefusedError);
    if (mayBeOpen && registered !== undefined && before !== undefined) {
      const found = await sessionSince(reached.api, before, flags.role, deadline);
      if (found !== undefined) registered = await amend(runtime, registered, { ...found, opened: true }, deadline);
    }
    await close(deadline);
    throw error;
  } finally {
    reached.close();
  }
}

/** Resolves when no other shell is ending a session there. */
async function register(runtime: Runtime, server: string): Promise<Registered> {
  const kubeconfigs = userKubeconfigs(runtime.env).map((path) => resolve(path));
  const registered: Registered = {
    directory: createDirectory(runtime),
    record: { owner: ownerOf(runtime.pid), phase: 'opening', server, kubeconfigs },
  };
  const isSame = sameServers(runtime.env);
  const isEndingThere = ({ record }: Registered): boolean =>
    record.phase === 'ending' && isSame(record.server, server) && stateOf(record.owner) === 'alive';
  await withRecords(runtime.env, () => writeRecord(registered), runtime.signal);
  for (let waitedMs = 0; waitedMs < 15_000 && listRecords(runtime.env).some(isEndingThere); waitedMs += 20) {
    await delay(20, undefined, { signal: runtime.signal });
  }
  return registered;
}

/** A session that another shell opened is shared: the shell that leaves last ends it. */
async function amend(
  runtime: Runtime,
  registered: Registered,
  changes: Partial<ShellRecord>,
  signal: AbortSignal,
): Promise<Registered> {
  const { directory } = registered;
  const isSame = sameServers(runtime.env);
  return withRecords(
    runtime.env,
    () => {
      const isOpened =
        changes.opened === true ||
        (changes.session !== undefined &&
          listRecords(runtime.env).some(
            ({ record }) =>
              record.opened === true &&
              isSame(record.server, registered.record.server) &&
              record.session === changes.session,
          ));
      const record = { ...registered.record, ...changes, ...(isOpened ? { opened: true } : {}) };
      writeRecord({ directory, record });
      return { directory, record };
    },
    signal,
  );
}

/** Undefined where the server refuses to say: the login that follows is refused likewise, with the reason and the remedy. */
async function sessionsBefore(
  api: Api,
  { server, timeoutMs, signal, now, warn }: Deadline & Pick<RetryOptions, 'now' | 'warn'>,
): Promise<readonly string[] | undefined> {
  try {
    const { sessions } = await withinDeadline({ server, timeoutMs, signal }, (signal) =>
      createRetry({ signal, now, warn })(() => api.sessions({ signal })),
    );
    return sessions.map(({ session }) => session).filter(isSessionName);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RefusedError && error.exitCode !== exitCodes.unreachable) return undefined;
    throw error;
  }
}

/** What a login that was broken off has left at the server: the only session of the role that was not there before. */
async function sessionSince(
  api: Api,
  before: readonly string[],
  role: string | undefined,
  signal: AbortSignal,
): Promise<Pick<ShellRecord, 'session' | 'until'> | undefined> {
  try {
    const { sessions } = await api.sessions({ signal });
    const isNew = (one: Session): boolean => isSessionName(one.session) && !before.includes(one.session);
    const [only, ...others] = sessions.filter((one) => isNew(one) && (role === undefined || one.role === role));
    return only === undefined || others.length > 0 ? undefined : { session: only.session, until: only.until };
  } catch (error) {
    if (!(error instanceof UserError) && !signal.aborted) throw error;
    return undefined;
  }
}

/** The server is chosen by now. */
function withoutServer<T extends GlobalFlags>(flags: T): Omit<T, 'server' | 'port' | 'cluster'> {
  const { server: _server, port: _port, cluster: _cluster, ...rest } = flags;
  return rest;
}
