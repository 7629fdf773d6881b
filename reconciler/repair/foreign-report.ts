/**
 * Reports bindings of sessions' accounts that tka did not make: in the log when one appears and when it is gone, as an Event on its
 * session, and their number as a metric.
 */
import type { Logger } from 'pino';
import { accountName } from '../../crd/tkasignin.ts';
import type { SigninCache } from '../informer/cache.ts';
import type { Clock } from '../clock.ts';
import type { Clients } from '../cluster.ts';
import { createEvents } from '../kubernetes/events.ts';
import { type ForeignBinding, listForeignBindings } from './foreign-bindings.ts';
import type { ReconcilerObserver } from '../reconciler.ts';

export interface ForeignReportDeps {
  readonly cluster: Clients;
  readonly namespace: string;
  readonly cache: SigninCache;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: Pick<ReconcilerObserver, 'foreignBindings'>;
}

/** Each look reads all bindings of the cluster. */
const everyMs = 60_000;

export interface ForeignReport {
  /** The bindings; undefined where the last look was less than a minute ago. */
  look(signal: AbortSignal): Promise<readonly ForeignBinding[] | undefined>;
  tell(found: readonly ForeignBinding[]): Promise<void>;
  stop(): void;
}

export function createForeignReport(deps: ForeignReportDeps): ForeignReport {
  const { cluster, namespace, cache, clock, log, observer } = deps;
  const events = createEvents(deps);
  let known = new Map<string, ForeignBinding>();
  let lastAt = -Infinity;

  const tellOf = async (binding: ForeignBinding): Promise<void> => {
    log.warn(binding, "a binding that tka did not make grants a role to a session's account");
    const message = `${keyOf(binding)} grants ${binding.role} to the session's account; tka did not make it`;
    const about = cache.list().filter((signin) => binding.accounts.includes(accountName(signin)));
    for (const signin of about) await events.record(signin, { type: 'Warning', reason: 'ForeignBinding', message });
  };

  return {
    async look(signal) {
      if (clock.now() - lastAt < everyMs) return undefined;
      const found = await listForeignBindings(cluster, namespace, () => cache.list(), signal);
      lastAt = clock.now();
      return found;
    },
    async tell(found) {
      const before = known;
      known = new Map(found.map((binding) => [keyOf(binding), binding]));
      observer.foreignBindings(known.size);
      for (const [key, binding] of known) if (!before.has(key)) await tellOf(binding);
      for (const [key, binding] of before) {
        if (!known.has(key))
          log.info(binding, 'a binding that tka did not make is gone, or grants nothing to a session any more');
      }
    },
    stop: () => observer.foreignBindings(0),
  };
}

function keyOf({ kind, namespace, name }: ForeignBinding): string {
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}
