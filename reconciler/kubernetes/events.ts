/**
 * Kubernetes Events about sessions, for failures and revocations only. One Event for each incident: the same message about the
 * same session is not repeated. A failure to write an Event is only logged.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { apiVersion, kind, type TkaSignin } from '../../crd/tkasignin.ts';
import type { Clock } from '../clock.ts';
import { type Clients, during } from '../cluster.ts';

export interface Events {
  record(
    signin: TkaSignin,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
  ): Promise<void>;
  forget(uid: string): void;
}

const deadlineMs = 5000;

export function createEvents(deps: { readonly cluster: Clients; readonly clock: Clock; readonly log: Logger }): Events {
  const said = new Map<string, string>();
  return {
    async record({ metadata: { name, namespace, uid, resourceVersion } }, { type, reason, message }) {
      const words = `${reason}: ${message}`;
      if (said.get(uid) === words) return;
      // A revocation is the last Event of a session: nothing would remove it from memory.
      if (type === 'Warning') said.set(uid, words);
      const at = new Date(deps.clock.now());
      try {
        await deps.cluster.core.createNamespacedEvent(
          {
            namespace,
            body: {
              metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
              involvedObject: { apiVersion, kind, name, namespace, uid, resourceVersion },
              type,
              reason,
              message: message.slice(0, 1024),
              source: { component: 'tka' },
              reportingComponent: 'tka',
              firstTimestamp: at,
              lastTimestamp: at,
              count: 1,
            },
          },
          during(AbortSignal.timeout(deadlineMs)),
        );
      } catch (error) {
        said.delete(uid);
        deps.log.warn({ err: error, session: name, reason }, 'cannot write an Event');
      }
    },
    forget(uid) {
      said.delete(uid);
    },
  };
}
