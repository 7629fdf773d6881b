/**
 * A new credential for a session, asked for by one process and taken by all that want it at the same time. Never longer than
 * 10 s, whatever the server does; a restarting server is waited for.
 */
import { statSync } from 'node:fs';
import type { Api } from '../api/api.ts';
import { skewOf } from '../api/clock-skew.ts';
import { reach } from '../connection/connect.ts';
import {
  type Credential,
  credentialPath,
  readCredential,
  readUntil,
  type SessionKey,
  writeCredential,
  writeUntil,
} from './cache.ts';
import type { ClusterAccess } from '../kubeconfig/cluster-access.ts';
import { UserError } from '../errors.ts';
import type { PluginCall } from './exec-plugin.ts';
import { createRetry } from '../connection/retry.ts';
import type { Runtime } from '../runtime.ts';
import { fetchAccess, withinDeadline } from './fetch-access.ts';
import { singleFlight } from './single-flight.ts';
import { tokenExpiry } from '../api/token.ts';

export interface RefreshOptions {
  /** There is no usable credential, so a restarting server is waited for; else it has to answer at once. */
  readonly isUrgent: boolean;
  /** The one that will not do, as it was read. */
  readonly cached: Credential | undefined;
}

export async function refreshCredential(
  runtime: Runtime,
  call: PluginCall,
  { isUrgent, cached }: RefreshOptions,
): Promise<Credential> {
  const { env, pid, signal } = runtime;
  const before = versionOf(env, call);
  const workMs = isUrgent ? urgentMs : idleMs;
  const deadline = { server: call.server, timeoutMs: workMs + 500, signal };
  return withinDeadline(deadline, (ending) =>
    singleFlight({
      path: `${credentialPath(env, call).replace(/\.json$/, '')}.lock`,
      pid,
      landed: () => {
        const now = readCredential(env, call);
        // Written since we began, or already between our reading and then.
        const isNew = versionOf(env, call) !== before || now?.expiresAt !== cached?.expiresAt;
        return isNew ? stillGood(runtime, now) : undefined;
      },
      work: () =>
        withinDeadline({ ...deadline, timeoutMs: workMs, signal: ending }, (end) =>
          refresh(runtime, { ...call, isUrgent, signal: end }),
        ),
      staleMs: urgentMs + 1000,
      signal: ending,
    }),
  );
}

const urgentMs = 9000;
const idleMs = 2000;
/** How long a server that refuses connections may take to restart. */
const restartMs = 5000;
/** For a token that does not say when it ends. */
const unknownLifeMs = 5 * 60_000;
const stillGoodMs = 5000;

function stillGood({ now }: Runtime, credential: Credential | undefined): Credential | undefined {
  const left = credential === undefined ? 0 : Date.parse(credential.expiresAt) - now().getTime();
  return left > stillGoodMs ? credential : undefined;
}

/** Another with each writing, even of the same content. */
function versionOf(env: Runtime['env'], key: SessionKey): string {
  const stat = statSync(credentialPath(env, key), { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs}`;
}

async function refresh(
  runtime: Runtime,
  call: PluginCall & Pick<RefreshOptions, 'isUrgent'> & { readonly signal: AbortSignal },
): Promise<Credential> {
  const { server, session, mode, proxy, isUrgent, signal } = call;
  const { env, now } = runtime;
  // No prompts here, and kubectl shows all output: warnings are for commands that a person runs.
  const silent = (): void => {};
  const remembered = { proxy };
  const reached = await reach(runtime, { server }, { purpose: 'act', remembered, warn: silent, signal });
  try {
    const { api } = reached;
    const fetch = (): Promise<ClusterAccess> => fetchAccess({ api, server, session, mode, signal });
    const retry = createRetry({ signal, warn: silent, now, firstContactTimeoutMs: restartMs });
    const access = await (isUrgent ? retry(fetch) : fetch());
    const skewMs = skewOf(api, now);
    const until = await endOf(runtime, { ...call, api, access });
    const end = tokenExpiry(access.token) ?? until ?? new Date(now().getTime() + unknownLifeMs);
    const fresh: Credential = {
      server,
      session,
      token: access.token,
      expiresAt: new Date(end.getTime() - Math.max(0, skewMs)).toISOString(),
      until: (until ?? end).toISOString(),
    };
    writeCredential(env, fresh);
    const known = readUntil(env, call);
    if (known !== undefined) writeUntil(env, call, { ...known, until: new Date(Date.parse(fresh.until) - skewMs) });
    return fresh;
  } finally {
    reached.close();
  }
}

interface Fetched extends SessionKey {
  readonly api: Api;
  readonly access: ClusterAccess;
  readonly signal: AbortSignal;
}

/** Another machine may have prolonged the session, so a token that does not tell its end, or lasts longer, is asked about. */
async function endOf({ env }: Runtime, fetched: Fetched): Promise<Date | undefined> {
  const { session, api, access, signal } = fetched;
  const cached = readCredential(env, fetched);
  const known = cached === undefined ? undefined : new Date(cached.until);
  const own = tokenExpiry(access.token);
  if (own !== undefined) return known !== undefined && known > own ? known : own;
  try {
    const answer = await api.loginStatus({ session }, { signal, timeoutMs: 2000 });
    const until = new Date(answer.value?.until ?? '');
    return Number.isNaN(until.getTime()) ? undefined : until;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof UserError)) throw error;
    return undefined;
  }
}
