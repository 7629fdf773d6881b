/**
 * Carries out the action that the home screen's state names, one at a time, and reports how it ended. Answers what the
 * action has to show and to ask while it runs, for the screen to draw.
 */
import { setImmediate as immediate } from 'node:timers/promises';
import { useApp, useStdin } from 'ink';
import { useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from 'react';
import { Interrupted } from '../../errors.ts';
import { createInkInteraction, type InkInteraction } from '../../hooks/ink-interaction.ts';
import type { LoggedIn } from '../../sessions/login.ts';
import { formatRemaining } from '../../terminal/output.ts';
import type { HomeEvent } from './model.ts';
import { type HomeServices, problemOf } from './services.ts';
import type { Action, Notice } from './state.ts';
import type { LoginRun } from '../login/run.ts';
import type { Clock } from '../../hooks/use-clock.ts';

/** What an action shows, and asks, while it runs. */
export interface Progress {
  readonly login?: LoginRun;
  readonly questions?: InkInteraction;
  /** A question waits for its answer. */
  readonly isAsking: boolean;
}

export function useAction(
  services: HomeServices,
  action: Action | undefined,
  dispatch: (event: HomeEvent) => void,
  clock: Clock,
): Progress {
  const { suspendTerminal } = useApp();
  const { stdin } = useStdin();
  const [progress, setProgress] = useState<Omit<Progress, 'isAsking'> & { readonly id: number }>();
  const stop = useRef<() => void>(() => undefined);

  const carryOut = async ({ id, kind, cluster, session = '', request }: Action, signal: AbortSignal): Promise<Done> => {
    const { name } = cluster;
    const warnings: string[] = [];
    const warn = (line: string): void => void warnings.push(line);
    switch (kind) {
      case 'shell': {
        let code = 0;
        await suspendTerminal(async () => {
          // Ink no longer listens, but Node would go on reading, and take the shell's keys or fail in the background.
          await immediate();
          stdin.pause();
          code = await services.runShell(cluster, request);
        });
        const tone = code === 0 ? 'ok' : 'warning';
        return { notice: { tone, text: `Shell closed (exit code ${code}).`, advice: [] } };
      }
      case 'logout': {
        const { contexts } = await services.logOut(cluster, session, { signal, warn });
        const removed = contexts.map((context) => `Removed context ${context}.`);
        const notice = noticeOf(`Logged out of ${session} at ${name}.`, removed, warnings);
        return { notice, session: { session, endsAt: undefined } };
      }
      case 'use': {
        const { context } = await services.use(cluster, session, signal);
        return { notice: noticeOf(`kubectl uses ${context} now.`, [], warnings) };
      }
      case 'renew': {
        const questions = createInkInteraction();
        signal.addEventListener('abort', () => questions.close(new Interrupted('SIGINT')), { once: true });
        setProgress({ id, questions });
        const { interaction } = questions;
        const { until, skewMs, contexts } = await services.renew(cluster, session, { signal, warn, interaction });
        const endsAt = until.getTime() - skewMs;
        const text = `Renewed at ${name}: ${session}, for ${formatRemaining(endsAt - clock.now())}.`;
        const used = contexts.map((context) => `Context ${context} uses it.`);
        return { notice: noticeOf(text, used, warnings), session: { session, endsAt } };
      }
      default: {
        const login = services.startLogin(cluster, request);
        stop.current = () => login.stop();
        setProgress({ id, login });
        const loggedIn = await login.result;
        return describeLogin(name, loggedIn, login.snapshot().warnings, clock.now());
      }
    }
  };
  const begin = useEffectEvent(async (next: Action, signal: AbortSignal): Promise<void> => {
    const { id } = next;
    try {
      dispatch({ type: 'done', id, ...(await carryOut(next, signal)) });
    } catch (error) {
      if (signal.aborted || error instanceof Interrupted) dispatch({ type: 'stopped', id });
      else dispatch({ type: 'failed', id, problem: problemOf(error) });
    }
  });

  const id = action?.id;
  const latest = useEffectEvent(() => action);
  useEffect(() => {
    const next = latest();
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

  const current = progress !== undefined && progress.id === id ? progress : undefined;
  const { subscribe, current: asked } = current?.questions ?? unasked;
  return { ...current, isAsking: useSyncExternalStore(subscribe, asked) !== undefined };
}

const unasked: Pick<InkInteraction, 'subscribe' | 'current'> = {
  subscribe: () => () => undefined,
  current: () => undefined,
};

type Done = Pick<Extract<HomeEvent, { readonly type: 'done' }>, 'notice' | 'session'>;

function describeLogin(name: string, session: LoggedIn, warnings: readonly string[], now: number): Done {
  const { role, context, kubeconfig, current, until, skewMs = 0 } = session;
  const endsAt = until.getTime() - skewMs;
  const use = current ? 'kubectl uses it now.' : `Use it: kubectl --context ${context} get pods`;
  const text = `Logged in at ${name} as ${role}, for ${formatRemaining(endsAt - now)}.`;
  const notice = noticeOf(text, [`Context ${context} is in ${kubeconfig}. ${use}`], warnings);
  return { notice, session: { session: session.session, endsAt } };
}

function noticeOf(text: string, advice: readonly string[], warnings: readonly string[]): Notice {
  const lines = [...new Set(warnings)].map((line) => `warning: ${line}`);
  return { tone: lines.length > 0 ? 'warning' : 'ok', text, advice: [...advice, ...lines] };
}
