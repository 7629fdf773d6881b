/**
 * Looks for clusters each time another search is asked for, and tells what is found as it is found.
 */
import { useEffect, useEffectEvent } from 'react';
import type { HomeEvent } from './model.ts';
import { type HomeServices, problemOf } from './services.ts';

export function useClusters(services: HomeServices, searches: number, dispatch: (event: HomeEvent) => void): void {
  const search = useEffectEvent(async (signal: AbortSignal): Promise<void> => {
    try {
      const { clusters, problem } = await services.findClusters({
        signal,
        onChange: (found) => {
          if (!signal.aborted) dispatch({ type: 'clusters', clusters: found });
        },
      });
      if (signal.aborted) return;
      dispatch({ type: 'clusters', clusters });
      dispatch({ type: 'searched', ...(problem === undefined ? {} : { problem: problemOf(problem) }) });
    } catch (error) {
      if (!signal.aborted) dispatch({ type: 'searched', problem: problemOf(error) });
    }
  });
  useEffect(() => {
    const controller = new AbortController();
    void search(controller.signal);
    return () => controller.abort();
  }, [searches]);
}
