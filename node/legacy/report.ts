/** What an earlier tka left in the cluster, in the log of each start. */
import type { Logger } from 'pino';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { describeLegacy, findLegacy } from './index.ts';

/** Access that an earlier tka left never expires: worth a warning at each start, but never a reason not to start. */
export async function reportLegacy(kubernetes: Kubernetes, log: Logger, stop: AbortSignal): Promise<void> {
  try {
    // tka's own rights show only the bindings, which are what grants access.
    const { objects } = await findLegacy(kubernetes, stop);
    if (objects.length === 0) return;
    const shown = objects.slice(0, 20).map(describeLegacy);
    log.warn(
      { count: objects.length, objects: shown },
      'an earlier tka left access that never expires: run tka-server legacy',
    );
  } catch (error) {
    stop.throwIfAborted();
    log.warn(
      { reason: error instanceof Error ? error.message : String(error) },
      'cannot check for objects of an earlier tka',
    );
  }
}
