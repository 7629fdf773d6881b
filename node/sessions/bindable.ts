/**
 * Ends sessions whose role tka may no longer bind: it was removed from `roles.clusterWide` or `roles.namespaced`, or tka has lost the
 * right to bind it there.
 *
 * The first check follows the first list of sessions, then one runs every 5 s. The configured lists count at once; a right counts as
 * lost when two consecutive checks were denied, because an API server that has just started briefly knows no roles. While it does not
 * answer, no session ends. Each replica checks its own configuration: a session lasts only where the lists of all of them have its
 * role.
 */
import type { Logger } from 'pino';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { type Clock, sleep, systemClock } from '../../reconciler/clock.ts';
import { eachAtMost } from '../../reconciler/queue/turns.ts';
import type { Reconciler, ReconcilerState } from '../../reconciler/reconciler.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';

export interface BindableDeps {
  readonly reconciler: Pick<Reconciler, 'list' | 'end'> & { readonly state: Pick<ReconcilerState, 'synced'> };
  readonly roles: { readonly clusterWide: readonly string[]; readonly namespaced: readonly string[] };
  /** No session has a role in these. */
  readonly ownNamespaces: readonly string[];
  readonly cluster: Pick<Kubernetes, 'may'>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly clock?: Clock;
  readonly everyMs?: number;
}

const beforeFirstListMs = 200;
const passDeadlineMs = 4000;
/** Concurrent requests. */
const together = 64;

export function startBindable(deps: BindableDeps): { stop(): Promise<void> } {
  const { clock = systemClock, everyMs = 5000 } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** What the last check was denied. */
  let denied: ReadonlySet<string> = new Set();

  const look = async (sessions: readonly TkaSignin[]): Promise<void> => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(passDeadlineMs)]);
    const live = sessions.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const unlisted = live.flatMap((signin) => {
      const reason = reasonInLists(deps, signin);
      return reason === undefined ? [] : [{ signin, reason }];
    });
    await endAll(unlisted);
    const before = denied;
    denied = new Set();
    const now = await deniedNow(deps, live, deadline);
    denied = now;
    await endAll(
      live.flatMap((signin) => {
        const lost = needsOf(signin).find((need) => now.has(need) && before.has(need));
        return lost === undefined ? [] : [{ signin, reason: `tka may not bind the role ${describe(lost)} any more` }];
      }),
    );
  };

  const endAll = async (ends: readonly { signin: TkaSignin; reason: string }[]): Promise<void> => {
    await eachAtMost(together, ends, async ({ signin: { metadata, spec }, reason }) => {
      const { subject, username } = spec;
      deps.log.info({ audit: true, session: metadata.name, subject, username, event: 'revoked', reason }, 'audit');
      try {
        await deps.reconciler.end(
          metadata.name,
          reason,
          AbortSignal.any([signal, AbortSignal.timeout(passDeadlineMs)]),
        );
      } catch (error) {
        // The next check finds it again.
        deps.log.warn(
          { err: error, session: metadata.name },
          'cannot end a session whose role tka may no longer bind, trying again',
        );
      }
    });
  };

  const forever = async (): Promise<void> => {
    while (!signal.aborted) {
      const isListed = deps.reconciler.state.synced;
      try {
        if (isListed) await look(deps.reconciler.list());
      } catch (error) {
        if (signal.aborted) return;
        deps.log.warn({ err: error }, 'cannot check which roles tka may bind, trying again');
      }
      await sleep(clock, isListed ? everyMs : beforeFirstListMs, signal);
    }
  };
  // It rejects only when it is stopped, in the middle of a wait.
  const ended = forever().catch(() => undefined);
  return {
    async stop() {
      stopping.abort(new Error('the watch on roles was stopped'));
      await ended;
    },
  };
}

/** Why the configuration does not allow it; undefined where it does. */
export function reasonInLists(
  { roles, ownNamespaces }: Pick<BindableDeps, 'roles' | 'ownNamespaces'>,
  { spec: { role, namespaces } }: TkaSignin,
): string | undefined {
  const own = namespaces?.find((namespace) => ownNamespaces.includes(namespace));
  if (own !== undefined) return `no session may have a role in tka's own namespace ${own}`;
  const [listed, key, where] =
    namespaces === undefined
      ? ([roles.clusterWide, 'roles.clusterWide', 'in the whole cluster'] as const)
      : ([roles.namespaced, 'roles.namespaced', 'in namespaces'] as const);
  return listed.includes(role) ? undefined : `tka no longer binds the role ${role} ${where}: it is not in ${key}`;
}

/** A role and where it is bound, separated by a space, which names of roles and namespaces cannot contain. */
function needsOf({ spec: { role, namespaces } }: TkaSignin): readonly string[] {
  return namespaces === undefined ? [role] : namespaces.map((namespace) => `${role} ${namespace}`);
}

function describe(need: string): string {
  const [role, namespace] = need.split(' ');
  return namespace === undefined ? `${role} in the whole cluster` : `${role} in namespace ${namespace}`;
}

/** The right to bind a role in the whole cluster includes every namespace: those are checked only where the first answer is no. */
async function deniedNow(
  { cluster }: Pick<BindableDeps, 'cluster'>,
  sessions: readonly TkaSignin[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const needs = new Set(sessions.flatMap(needsOf));
  const denied = new Set<string>();
  const ask = async (need: string): Promise<void> => {
    const [name = '', namespace] = need.split(' ');
    const question = { verb: 'bind', group: 'rbac.authorization.k8s.io', resource: 'clusterroles', name };
    if (!(await cluster.may(namespace === undefined ? question : { ...question, namespace }, signal))) denied.add(need);
  };
  const roles = [...new Set([...needs].map((need) => need.split(' ')[0] ?? ''))];
  await eachAtMost(together, roles, ask);
  await eachAtMost(
    together,
    [...needs].filter((need) => need.includes(' ') && denied.has(need.split(' ')[0] ?? '')),
    ask,
  );
  return denied;
}
