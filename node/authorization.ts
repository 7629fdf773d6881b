/**
 * Continuous authorization: looks at the grant of every live session again, and ends what no rule in force gives any more.
 *
 * A pass runs every 10 s, and soon after each hint that peers have changed; the hints may be missing, the passes are the
 * guarantee. One question to the engine names all nodes. A session ends when its node has left or expired, when its
 * login name is another's, or when no rule gives it its role on all of its namespaces. A node that is missing once may be missing
 * from a netmap that is being built, so it is asked for again before it counts as gone. While nobody can say, nothing
 * ends, but only for `maxUnknownMs`.
 */
import type { Logger } from 'pino';
import { annotations, type TkaSignin } from '../crd/tkasignin.ts';
import type { Caller } from './http/state.ts';
import type { Identity } from './tsnet/node.ts';

export interface AuthorizationDeps {
  sessions(): readonly TkaSignin[];
  /** By stable node ID; an absent one is answered with the refusal `unknown`. Rejects while the tailnet node is away. */
  identities(nodeIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Identity>>;
  /** Throws where the identity must be refused. */
  callerFrom(identity: Identity): Caller;
  covers(
    caller: Caller,
    session: { readonly role: string; readonly namespaces?: readonly string[] | undefined },
  ): boolean;
  end(name: string, reason: string, signal: AbortSignal): Promise<void>;
  /** Streams that are open, whoever opened them from which node: looked at in the same pass. */
  recheckStreams(): Promise<void>;
  /** Calls back at every hint until the returned function is called. */
  onHint(listener: () => void): () => void;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly everyMs?: number;
  readonly maxUnknownMs: number;
  now(): number;
}

export interface Authorization {
  /** When every grant was last known, milliseconds of `now`. */
  readonly knownAt: number;
  stop(): Promise<void>;
}

const hintDelayMs = 200;
const secondLookMs = 2000;
const passDeadlineMs = 8000;
const batch = 100;

export function startAuthorization(deps: AuthorizationDeps): Authorization {
  const stopping = new AbortController();
  const everyMs = deps.everyMs ?? 10_000;
  /** Nodes that were missing in the last pass. */
  let missing: ReadonlySet<string> = new Set();
  let knownAt = deps.now();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let dueAt = Infinity;

  const schedule = (ms: number): void => {
    const at = deps.now() + ms;
    if (stopping.signal.aborted || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => {
      dueAt = Infinity;
      running = running.then(pass).then((againMs) => schedule(againMs));
    }, ms);
  };

  /** When to look again. */
  async function pass(): Promise<number> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(passDeadlineMs)]);
    try {
      const sessions = deps.sessions().filter((signin) => signin.metadata.deletionTimestamp === undefined);
      const byNode = Map.groupBy(sessions, (signin) => signin.metadata.annotations?.[annotations.node] ?? '');
      const nodes = [...byNode.keys()].filter((node) => node !== '');
      const found = new Map<string, Identity>();
      for (let i = 0; i < nodes.length; i += batch) {
        for (const [node, identity] of await deps.identities(nodes.slice(i, i + batch), signal))
          found.set(node, identity);
      }
      knownAt = deps.now();
      const gone = new Set(nodes.filter((node) => (found.get(node) ?? { refusal: 'unknown' }).refusal === 'unknown'));
      await Promise.all(
        sessions.map(async (signin) => {
          const node = signin.metadata.annotations?.[annotations.node] ?? '';
          const identity = found.get(node);
          if (gone.has(node) || identity === undefined) {
            if (missing.has(node)) await end(signin, 'the node that logged in has left the tailnet');
            return;
          }
          const reason = reasonToEnd(deps, signin, identity);
          if (reason !== undefined) await end(signin, reason);
        }),
      );
      const isNew = [...gone].some((node) => !missing.has(node));
      missing = gone;
      await deps.recheckStreams();
      return isNew ? secondLookMs : everyMs;
    } catch (error) {
      if (stopping.signal.aborted) return everyMs;
      await endUnknown(error);
      return Math.min(everyMs, secondLookMs);
    }
  }

  async function endUnknown(error: unknown): Promise<void> {
    const unknownMs = deps.now() - knownAt;
    deps.log.warn(
      { reason: error instanceof Error ? error.message : String(error), unknownSeconds: Math.round(unknownMs / 1000) },
      'nobody can say whether grants still hold',
    );
    if (unknownMs <= deps.maxUnknownMs) return;
    for (const signin of deps.sessions()) await end(signin, 'nobody could say for too long whether its grant holds');
  }

  async function end(signin: TkaSignin, reason: string): Promise<void> {
    const { name } = signin.metadata;
    deps.log.info(
      {
        audit: true,
        event: 'revoked',
        session: name,
        subject: signin.spec.subject,
        username: signin.spec.username,
        reason,
      },
      'audit',
    );
    await deps
      .end(name, reason, AbortSignal.any([stopping.signal, AbortSignal.timeout(passDeadlineMs)]))
      .catch((error: unknown) => {
        // The next pass finds it again.
        deps.log.warn({ err: error, session: name }, 'a session whose grant has gone cannot be ended yet');
      });
  }

  const unsubscribe = deps.onHint(() => schedule(hintDelayMs));
  schedule(everyMs);
  return {
    get knownAt() {
      return knownAt;
    },
    async stop() {
      stopping.abort(new Error('authorization was stopped'));
      unsubscribe();
      clearTimeout(timer);
      await running;
    },
  };
}

function reasonToEnd(
  deps: Pick<AuthorizationDeps, 'callerFrom' | 'covers'>,
  { spec }: TkaSignin,
  identity: Identity,
): string | undefined {
  if (identity.refusal !== undefined) return `the node that logged in is refused (${identity.refusal})`;
  let caller: Caller;
  try {
    caller = deps.callerFrom(identity);
  } catch {
    return 'nobody can say who the node that logged in belongs to';
  }
  if (caller.subject !== spec.subject) return 'the node that logged in belongs to somebody else now';
  if (caller.username !== spec.username) return 'the login name has changed';
  return deps.covers(caller, spec) ? undefined : 'the tailnet policy grants it no more';
}
