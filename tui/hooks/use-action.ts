/**
 * Carries out the action that the home screen's state names, one at a time, and reports how it ended. Answers the login
 * under way, if the action is one, for the screen to draw.
 */
import { useApp } from 'ink';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { Interrupted } from '../errors.ts';
import type { LoggedIn } from '../login.ts';
import { formatRemaining } from '../output.ts';
import type { HomeEvent } from '../screens/home-model.ts';
import { type HomeServices, problemOf } from '../screens/home-services.ts';
import type { Action, Notice } from '../screens/home-state.ts';
import type { LoginRun } from '../screens/login-run.ts';
import type { Clock } from './use-clock.ts';

export function useAction(
  services: HomeServices,
  action: Action | undefined,
  dispatch: (event: HomeEvent) => void,
  clock: Clock,
): LoginRun | undefined {
  const { suspendTerminal } = useApp();
  const [login, setLogin] = useState<{ readonly id: number; readonly run: LoginRun }>();
  const stop = useRef<() => void>(() => undefined);

  const carryOut = async ({ id, kind, cluster, session = '', wish }: Action, signal: AbortSignal): Promise<Notice> => {
    const { name } = cluster;
    switch (kind) {
      case 'shell': {
        let code = 0;
        await suspendTerminal(async () => {
          code = await services.runShell(cluster, wish);
        });
        return { tone: code === 0 ? 'ok' : 'warning', text: `The shell at ${name} ended with ${code}.`, advice: [] };
      }
      case 'logout': {
        const warnings: string[] = [];
        const { contexts } = await services.logOut(cluster, session, { signal, warn: (line) => warnings.push(line) });
        const advice = contexts.map((context) => `Removed context ${context}.`);
        return {
          tone: 'ok',
          text: `Logged out of ${session} at ${name}.`,
          advice: [...advice, ...warnings.map(warned)],
        };
      }
      default: {
        const run = services.startLogin(cluster, wish);
        stop.current = () => run.stop();
        setLogin({ id, run });
        const loggedIn = await run.result;
        return describe(kind, loggedIn, run.snapshot().warnings, clock.now());
      }
    }
  };
  const begin = useEffectEvent(async (next: Action, signal: AbortSignal): Promise<void> => {
    const { id } = next;
    try {
      const notice = await carryOut(next, signal);
      dispatch({ type: 'done', id, notice });
    } catch (error) {
      if (signal.aborted || error instanceof Interrupted) dispatch({ type: 'stopped', id });
      else dispatch({ type: 'failed', id, problem: problemOf(error) });
    }
  });

  const id = action?.id;
  const current = useEffectEvent(() => action);
  useEffect(() => {
    const next = current();
    if (next === undefined) return undefined;
    const controller = new AbortController();
    stop.current = () => controller.abort();
    void begin(next, controller.signal);
    return () => {
      stop.current();
      stop.current = () => undefined;
    };
  }, [id]);
  const stopping = action?.stopping === true;
  useEffect(() => {
    if (stopping) stop.current();
  }, [stopping]);

  return login !== undefined && login.id === id ? login.run : undefined;
}

function describe(kind: Action['kind'], session: LoggedIn, warnings: readonly string[], now: number): Notice {
  const { cluster, role, context, kubeconfig, current, until } = session;
  const done = kind === 'renew' ? 'Renewed' : 'Logged in';
  const use = current ? 'kubectl uses it now.' : `Use it: kubectl --context ${context} get pods`;
  return {
    tone: warnings.length > 0 ? 'warning' : 'ok',
    text: `${done} at ${cluster} as ${role}, for ${formatRemaining(until.getTime() - now)}.`,
    advice: [`Context ${context} is in ${kubeconfig}. ${use}`, ...warnings.map(warned)],
  };
}

function warned(line: string): string {
  return `warning: ${line}`;
}
