/**
 * A login under way, as a screen follows it: `startLogin` begins, `snapshot` says how far it is, `stop` ends it early,
 * `result` is what `logIn` makes of it. The caller stops it or waits for its result.
 *
 * Loads neither React nor Ink, so that a login can begin while they load.
 */
import { Interrupted } from '../../errors.ts';
import { createInkInteraction, type InkInteraction } from '../../hooks/ink-interaction.ts';
import type { Interaction } from '../../terminal/interaction.ts';
import type { LoggedIn, LoginStage, LogInOptions, StageReport } from '../../sessions/login.ts';
import type { Runtime } from '../../runtime.ts';

export type LogIn = (runtime: Runtime, options: LogInOptions) => Promise<LoggedIn>;

export interface StageProgress {
  readonly stage: LoginStage;
  /** `stopped`: the login was cancelled in it. */
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'stopped';
  readonly detail?: string;
  /** Absent while it waits. Time in which a question waited for its answer does not count: this moves on by it. */
  readonly startedAt?: number;
  /** How long it took, once it is over. */
  readonly tookMs?: number;
}

export interface LoginProgress {
  readonly stages: readonly StageProgress[];
  readonly warnings: readonly string[];
  /** Absent while it runs. */
  readonly outcome?: Outcome;
}

export type Outcome =
  | { readonly kind: 'logged-in'; readonly session: LoggedIn }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'stopped' };

export interface LoginRun {
  readonly snapshot: () => LoginProgress;
  /** Calls back whenever the snapshot changes, until the function it returns is called. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Questions of this login, for <Question>. */
  readonly questions: InkInteraction;
  /** Settles once the login has ended in its own order: after `stop`, with Interrupted. Never unhandled. */
  readonly result: Promise<LoggedIn>;
  /** Ends the login, in its own order. */
  readonly stop: () => void;
  readonly isStopping: () => boolean;
  /** Ends the run at once, whatever the login does. */
  readonly abandon: () => void;
}

export interface LoginRunOptions extends Pick<LogInOptions, 'flags' | 'signal'> {
  /** Default: the real one, loaded on demand. */
  readonly logIn?: LogIn | undefined;
  /** Default: questions are for the screen to draw. `none`: no questions can be asked. */
  readonly interaction?: Interaction | 'none' | undefined;
}

export const loginStages: readonly LoginStage[] = [
  'server',
  'identity',
  'grant',
  'sign-in',
  'provisioning',
  'usable',
  'kubeconfig',
];

export function startLogin(runtime: Runtime, options: LoginRunOptions): LoginRun {
  const questions = createInkInteraction();
  const { interaction = questions.interaction } = options;
  const stopped = new AbortController();
  const { promise: given, reject: giveUp } = Promise.withResolvers<never>();
  const listeners = new Set<() => void>();
  let progress: LoginProgress = {
    stages: loginStages.map((stage) => ({ stage, state: 'waiting' })),
    warnings: [],
  };
  const become = (next: LoginProgress): void => {
    if (progress.outcome !== undefined) return;
    progress = next;
    for (const listener of listeners) listener();
  };
  const now = (): number => runtime.now().getTime();

  let askedAt: number | undefined;
  questions.subscribe(() => {
    const isAsked = questions.current() !== undefined;
    if (isAsked) askedAt ??= now();
    else if (askedAt !== undefined) {
      become(withoutPause(progress, now() - askedAt));
      askedAt = undefined;
    }
  });

  const signal = AbortSignal.any([options.signal ?? runtime.signal, stopped.signal]);
  const stopQuestions = (): void => questions.close(interruption(signal));
  signal.addEventListener('abort', stopQuestions, { once: true });

  const login = async (): Promise<LoggedIn> => {
    const logIn = options.logIn ?? (await import('../../sessions/login.ts')).logIn;
    signal.throwIfAborted();
    return logIn(runtime, {
      flags: options.flags,
      interaction: interaction === 'none' ? undefined : interaction,
      stepwise: true,
      signal,
      onStage: (report) => become(withReport(progress, report, now())),
      warn: (line) => become({ ...progress, warnings: [...progress.warnings, line] }),
    });
  };
  const end = async (): Promise<LoggedIn> => {
    try {
      const session = await Promise.race([login(), given]);
      become(withOutcome(progress, { kind: 'logged-in', session }, now()));
      return session;
    } catch (error) {
      const isStopped = signal.aborted || error instanceof Interrupted;
      become(withOutcome(progress, isStopped ? { kind: 'stopped' } : { kind: 'failed', error }, now()));
      if (!isStopped) throw error;
      throw error instanceof Interrupted ? error : interruption(signal);
    } finally {
      signal.removeEventListener('abort', stopQuestions);
    }
  };
  const stop = (): void => stopped.abort(new Interrupted('SIGINT'));
  const result = end();
  // Who only watches the snapshot need not await it.
  result.catch(() => undefined);
  return {
    snapshot: () => progress,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    questions,
    result,
    stop,
    isStopping: () => signal.aborted,
    abandon() {
      stop();
      giveUp(interruption(signal));
    },
  };
}

function withReport(progress: LoginProgress, { stage, state, detail }: StageReport, at: number): LoginProgress {
  const stages = progress.stages.map((one): StageProgress => {
    if (one.stage !== stage) return one;
    const { startedAt = at } = one;
    const known = { ...one, ...(detail === undefined ? {} : { detail }), startedAt };
    return state === 'done' ? { ...known, state, tookMs: at - startedAt } : { ...known, state };
  });
  return { ...progress, stages };
}

function withoutPause(progress: LoginProgress, pauseMs: number): LoginProgress {
  const stages = progress.stages.map((one) =>
    one.state === 'running' && one.startedAt !== undefined ? { ...one, startedAt: one.startedAt + pauseMs } : one,
  );
  return { ...progress, stages };
}

function withOutcome(progress: LoginProgress, outcome: Outcome, at: number): LoginProgress {
  if (outcome.kind === 'logged-in') return { ...progress, outcome };
  const state = outcome.kind;
  const stages = progress.stages.map((one): StageProgress => {
    if (one.state !== 'running') return one;
    return { ...one, state, tookMs: at - (one.startedAt ?? at) };
  });
  return { ...progress, stages, outcome };
}

function interruption(signal: AbortSignal): Interrupted {
  return signal.reason instanceof Interrupted ? signal.reason : new Interrupted('SIGINT');
}
