/**
 * Continuous authorization: checks the grant of every live session again, and ends the sessions that no rule covers any more.
 *
 * A pass runs every 10 s, and soon after each hint that peers have changed; hints may be missing, so the passes are the guarantee. Two
 * never run at once. One request to the engine asks about many nodes. A session ends when its node has left or expired, when its
 * login name changes, or when no rule grants its role in all of its namespaces; its end becomes earlier where a login now would get
 * less time. A node that is missing once may be missing from a netmap that is being built, so it is checked again before it counts as
 * gone. While grants cannot be confirmed, because the node is down or has no contact with the control server, they hold as last known,
 * for at most `maxUnknownMs`.
 *
 * Of several replicas each has its own view of the tailnet, and any may end a session: the first to learn of a lost grant does. But
 * news of a new grant may reach the replica that admits a login before the others. So a replica that has neither admitted a session
 * nor seen its grant in force waits for `newsMs` before it ends the session.
 */
import type { Logger } from 'pino';
import { endOf } from '../../crd/parse.ts';
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { inTurns } from '../../reconciler/queue/turns.ts';
import { endOf as sessionEnd } from './sessions.ts';
import type { Identity } from '../tsnet/peer.ts';
import { createSessionActions } from './session-actions.ts';
import { auditOf, judge, nodeOf, type VerdictDeps } from './verdict.ts';

export interface AuthorizationDeps extends VerdictDeps {
  sessions(): readonly TkaSignin[];
  /** By stable node ID; an absent node has the refusal `unknown`. Rejects while the tailnet node is not running. */
  identities(nodeIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Identity>>;
  end(name: string, reason: string, signal: AbortSignal): Promise<void>;
  /** Makes a session's end earlier. */
  shorten(signin: TkaSignin, endsAt: Date, signal: AbortSignal): Promise<void>;
  /** Checks open streams against their caller's grants, in the same pass. */
  recheckStreams(): Promise<void>;
  /** Calls back at every hint until the returned function is called. */
  onHint(listener: () => void): () => void;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly everyMs?: number;
  readonly secondLookMs?: number;
  readonly hintDelayMs?: number;
  readonly maxUnknownMs: number;
  /** Milliseconds since the control server last confirmed what the node knows; 0: it does now. */
  controlAwayMs(): number;
  /** How long news of the tailnet may take from one replica to another; 0 with a single replica. */
  readonly newsMs: number;
  /** Whether this replica ends the sessions whose grants cannot be confirmed. */
  isLeading(): boolean;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  date(): Date;
}

export interface Authorization {
  /** This replica has admitted the session: it has seen the grant. */
  admitted(uid: string): void;
  stop(): Promise<void>;
}

const passDeadlineMs = 8000;
const batch = 100;
/** Sessions that are ended or shortened concurrently. */
const actionsAtOnce = 16;
/** Clocks of replicas may differ by this much. */
const shortenSlackMs = 60_000;

export function startAuthorization(deps: AuthorizationDeps): Authorization {
  const stopping = new AbortController();
  const { everyMs = 10_000, secondLookMs = 2000, hintDelayMs = 200 } = deps;
  /** When each node that was missing in the last pass was first missing. */
  let missing: ReadonlyMap<string, number> = new Map();
  /** UIDs of sessions whose grant this replica has seen in force. */
  const seen = new Set<string>();
  /** When a session whose grant it has never seen first looked wrong. */
  const doubted = new Map<string, number>();
  let knownAt = deps.now();
  const actions = createSessionActions(actionsAtOnce, stopping.signal);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let dueAt = Infinity;

  const schedule = (ms: number): void => {
    const at = deps.now() + ms;
    if (stopping.signal.aborted || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(run, ms);
  };

  function run(): void {
    dueAt = Infinity;
    // Requested during a pass, which may have checked already.
    if (running !== undefined) {
      schedule(hintDelayMs);
      return;
    }
    running = pass().then((againMs) => {
      running = undefined;
      schedule(againMs);
    });
  }

  /** Resolves with the delay until the next pass. */
  async function pass(): Promise<number> {
    const streams = deps.recheckStreams().catch((error: unknown) => {
      deps.log.error({ err: error }, 'cannot check open streams');
    });
    try {
      actions.beginPass();
      const sessions = live();
      const found = await identitiesOf([...new Set(sessions.map(nodeOf))].filter((node) => node !== ''));
      const at = deps.now();
      knownAt = at - deps.controlAwayMs();
      if (at - knownAt > deps.maxUnknownMs) {
        endAll('no contact with the control server for too long: its grant cannot be confirmed');
        return Math.min(everyMs, secondLookMs);
      }
      forgetAllBut(new Set(sessions.map(({ metadata }) => metadata.uid)));
      const before = missing;
      const isMissing = (node: string): boolean =>
        (found.get(node)?.refusal ?? (found.has(node) ? '' : 'unknown')) === 'unknown';
      missing = new Map(
        sessions
          .map(nodeOf)
          .filter(isMissing)
          .map((node) => [node, before.get(node) ?? at]),
      );
      // Two hints in quick succession are one change.
      const isGone = (node: string): boolean => at - (missing.get(node) ?? at) >= secondLookMs / 2;
      for await (const signin of inTurns(sessions)) {
        const identity = found.get(nodeOf(signin));
        if (!missing.has(nodeOf(signin)) && identity !== undefined) look(signin, identity);
        else if (isGone(nodeOf(signin))) end(signin, 'the node that logged in has left the tailnet');
      }
      return [...missing.keys()].some((node) => !isGone(node)) ? Math.min(everyMs, secondLookMs) : everyMs;
    } catch (error) {
      if (!stopping.signal.aborted) endUnknown(error);
      return Math.min(everyMs, secondLookMs);
    } finally {
      await streams;
    }
  }

  function live(): readonly TkaSignin[] {
    return deps.sessions().filter((signin) => signin.metadata.deletionTimestamp === undefined);
  }

  async function identitiesOf(nodes: readonly string[]): Promise<ReadonlyMap<string, Identity>> {
    const signal = deadline();
    const found = new Map<string, Identity>();
    for (let i = 0; i < nodes.length; i += batch) {
      for (const [node, identity] of await deps.identities(nodes.slice(i, i + batch), signal))
        found.set(node, identity);
    }
    return found;
  }

  function look(signin: TkaSignin, identity: Identity): void {
    const verdict = judge(deps, signin, identity);
    if ('reason' in verdict) {
      end(signin, verdict.reason);
      return;
    }
    const endsAt = sessionEnd(deps.date(), verdict.periodMs);
    if (endOf(signin) - endsAt.getTime() <= shortenSlackMs) {
      seen.add(signin.metadata.uid);
      doubted.delete(signin.metadata.uid);
      return;
    }
    if (mayBeNews(signin)) return;
    actions.run(signin, async () => {
      deps.log.info({ ...auditOf(signin), event: 'shortened', until: endsAt.toISOString() }, 'audit');
      await deps
        .shorten(signin, endsAt, deadline())
        .catch((error: unknown) =>
          retried(signin, error, 'cannot shorten a session whose period is shorter now, trying again'),
        );
    });
  }

  function endUnknown(cause: unknown): void {
    const unknownMs = deps.now() - knownAt;
    deps.log.warn(
      { reason: cause instanceof Error ? cause.message : String(cause), unknownSeconds: Math.round(unknownMs / 1000) },
      'grants cannot be confirmed',
    );
    if (unknownMs > deps.maxUnknownMs) endAll('its grant could not be confirmed for too long');
  }

  function endAll(reason: string): void {
    if (!deps.isLeading()) return;
    for (const signin of live()) endNow(signin, reason);
  }

  /** Another replica may know more than this one. */
  function mayBeNews({ metadata: { uid } }: TkaSignin): boolean {
    if (seen.has(uid)) return false;
    const at = deps.now();
    const since = doubted.get(uid) ?? at;
    doubted.set(uid, since);
    return at - since < deps.newsMs;
  }

  function forgetAllBut(uids: ReadonlySet<string>): void {
    for (const uid of seen) if (!uids.has(uid)) seen.delete(uid);
    for (const uid of doubted.keys()) if (!uids.has(uid)) doubted.delete(uid);
  }

  function end(signin: TkaSignin, reason: string): void {
    if (!mayBeNews(signin)) endNow(signin, reason);
  }

  function endNow(signin: TkaSignin, reason: string): void {
    actions.run(signin, async () => {
      deps.log.info({ ...auditOf(signin), event: 'revoked', reason }, 'audit');
      await deps
        .end(signin.metadata.name, reason, deadline())
        .catch((error: unknown) => retried(signin, error, 'cannot end a session whose grant is gone, trying again'));
    });
  }

  /** The next pass finds it again. */
  function retried({ metadata }: TkaSignin, error: unknown, message: string): void {
    deps.log.warn({ err: error, session: metadata.name }, message);
  }

  function deadline(): AbortSignal {
    return AbortSignal.any([stopping.signal, AbortSignal.timeout(passDeadlineMs)]);
  }

  const unsubscribe = deps.onHint(() => schedule(hintDelayMs));
  schedule(everyMs);
  return {
    admitted: (uid) => void seen.add(uid),
    async stop() {
      stopping.abort(new Error('authorization was stopped'));
      unsubscribe();
      clearTimeout(timer);
      await running;
      await actions.idle();
    },
  };
}
