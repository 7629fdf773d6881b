/**
 * Sweeps while this process leads: each term has its own sweeper, which ends with it. The owner stops them.
 */
import { createApply } from '../reconcile/apply.ts';
import { createSignins } from '../kubernetes/tkasignin-client.ts';
import { type Sweeper, type SweeperDeps, startSweeper } from './sweeper.ts';

export interface Sweeps {
  /** Nothing is swept before soon() is called for the first time. */
  begin(term: AbortSignal): void;
  /** Nothing while another leads. */
  soon(): void;
  stop(): Promise<void>;
}

/** `cluster`: the leader's clients. */
export function createSweeps(deps: Omit<SweeperDeps, 'signins' | 'apply'>): Sweeps {
  const { cluster, namespace } = deps;
  let current: Sweeper | undefined;
  let last: Promise<void> | undefined;
  return {
    begin(term) {
      const sweeper = startSweeper({
        ...deps,
        signins: createSignins(cluster, namespace),
        apply: createApply(cluster),
      });
      current = sweeper;
      term.addEventListener('abort', () => {
        current = undefined;
        last = sweeper.stop();
      });
    },
    soon: () => current?.soon(),
    async stop() {
      await Promise.all([current?.stop(), last]);
    },
  };
}
