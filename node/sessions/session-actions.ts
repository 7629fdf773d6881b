/**
 * What a pass does to sessions, behind the passes and a few at a time: a change of the policy may end thousands of sessions, and
 * must neither send that many requests to the API server at once nor delay the next pass until they are done.
 */
import type { TkaSignin } from '../../crd/tkasignin.ts';
import { createLimiter } from '../../reconciler/queue/turns.ts';

export interface SessionActions {
  /** Before a pass lists the sessions: what it sees of them is newer than every action that is done by now. */
  beginPass(): void;
  /** Nothing where the session has an action under way, or had one since the pass began. */
  run(signin: TkaSignin, work: () => Promise<void>): void;
  /** Resolves when no action is under way. */
  idle(): Promise<void>;
}

/** Actions that have not begun when `stopping` aborts are dropped. */
export function createSessionActions(atOnce: number, stopping: AbortSignal): SessionActions {
  const underWay = new Map<string, Promise<void>>();
  const done = new Set<string>();
  const limited = createLimiter(atOnce);
  return {
    beginPass: () => done.clear(),
    run({ metadata: { uid } }, work) {
      if (underWay.has(uid) || done.has(uid)) return;
      const action = limited(async () => {
        if (!stopping.aborted) await work();
      });
      underWay.set(
        uid,
        action.finally(() => {
          underWay.delete(uid);
          done.add(uid);
        }),
      );
    },
    async idle() {
      await Promise.all(underWay.values());
    },
  };
}
