/**
 * Reads what the caller has at a cluster each time that is requested, and refreshes all of it twice a minute: sessions
 * come and go elsewhere too.
 */
import { useEffect, useEffectEvent, useRef } from 'react';
import type { HomeEvent } from './model.ts';
import type { HomeServices } from './services.ts';
import type { HomeState } from './state.ts';
import type { Clock } from '../../hooks/use-clock.ts';

export function useAccess(
  services: HomeServices,
  { wanted, clusters }: Pick<HomeState, 'wanted' | 'clusters'>,
  dispatch: (event: HomeEvent) => void,
  clock: Clock,
): void {
  const readings = useRef(new Map<string, Reading>());
  const read = useEffectEvent(async (server: string, signal: AbortSignal): Promise<void> => {
    const cluster = clusters.find((one) => one.server === server);
    if (cluster === undefined || cluster.answer.state === 'asking') return;
    const read = cluster.answer.state === 'here' ? services.readAccess : services.recallAccess;
    try {
      const access = await read(cluster, signal);
      if (!signal.aborted) dispatch({ type: 'access', server, access });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  });
  useEffect(() => {
    for (const [server, number] of Object.entries(wanted)) {
      const before = readings.current.get(server);
      if (before?.number === number) continue;
      before?.controller.abort();
      const controller = new AbortController();
      readings.current.set(server, { number, controller });
      void read(server, controller.signal);
    }
  }, [wanted]);
  useEffect(() => clock.every(30_000, () => dispatch({ type: 'refresh' })), [clock, dispatch]);
  useEffect(() => {
    const { current } = readings;
    return () => {
      for (const { controller } of current.values()) controller.abort();
    };
  }, []);
}

interface Reading {
  readonly number: number;
  readonly controller: AbortController;
}
