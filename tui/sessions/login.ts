/**
 * A whole login, the same for a screen and a script: find a trusted server, open a session and wait until it is usable,
 * write it to the kubeconfig. Until the last stage nothing on this machine changes.
 */
import type { Mode } from '../../node/http/contract.ts';
import { describeSkew } from '../api/clock-skew.ts';
import { type Reached, reach } from '../connection/connect.ts';
import type { GlobalFlags, ContextFlags, LoginRequestFlags } from '../flags.ts';
import type { Interaction } from '../terminal/interaction.ts';
import { type OpenedSession, openSession } from './open-session.ts';
import { checkContextName, checkContext, modeOf, writeContext } from './context.ts';
import type { Runtime } from '../runtime.ts';
import { readSettings } from '../config/settings.ts';
import { createStages, type StageReport, type Stages } from './login-stages.ts';
import { checkNamespace, readLoginRequest } from './login-request.ts';
import type { LiveSession } from './session-data.ts';

export type { LoginStage, StageReport } from './login-stages.ts';

export interface LogInOptions {
  readonly flags: GlobalFlags & LoginRequestFlags & ContextFlags;
  readonly interaction?: Interaction | undefined;
  readonly onStage?: (report: StageReport) => void;
  /** Each stage by itself, `identity` and `grant` included, so that a person can follow; else as few calls as it takes. */
  readonly stepwise?: boolean;
  /** Warnings that do not stop it. */
  readonly warn: (line: string) => void;
  /** Default: the runtime's. */
  readonly signal?: AbortSignal;
}

/** A session that works, and where kubectl finds it. Texts are fit to be shown. */
export interface LoggedIn extends LiveSession {
  readonly mode: Mode;
  /** Where kubectl goes. */
  readonly url: string;
  readonly context: string;
  /** Whether the context is the current one. */
  readonly current: boolean;
  /** The file that has the context. */
  readonly kubeconfig: string;
}

export async function logIn(runtime: Runtime, options: LogInOptions): Promise<LoggedIn> {
  const check: OpenOptions['check'] = ({ server, isSame }, signal) =>
    checkContext(runtime, { server, isSame, flags: options.flags, warn: options.warn, signal });
  return withOpenSession(runtime, { ...options, check }, async ({ opened, reached, stages, contextName, signal }) => {
    const { flags, warn } = options;
    stages.begin('kubeconfig');
    const { server, proxy, goesDirect, addressFor, isSame } = reached;
    const merged = await writeContext(runtime, {
      server,
      proxy,
      goesDirect,
      addressFor,
      isSame,
      opened,
      flags,
      contextName,
      warn,
      signal,
    });
    stages.done(merged.context);
    const { access, mode: _, replicas: __, ...identity } = opened;
    const { context, current, path } = merged;
    return { server, ...identity, mode: modeOf(opened), url: access.url, context, current, kubeconfig: path };
  });
}

export interface Open {
  readonly opened: OpenedSession;
  readonly reached: Reached;
  readonly stages: Stages;
  /** Of the settings. */
  readonly contextName: string | undefined;
  readonly signal: AbortSignal;
}

export interface OpenOptions extends LogInOptions {
  /** Rejects where what follows the session would fail: none is opened then. */
  readonly check?: (reached: Reached, signal: AbortSignal) => Promise<void>;
}

/** Everything but the last stage, which is `use`; the connection is open until then. */
export async function withOpenSession<T>(
  runtime: Runtime,
  options: OpenOptions,
  use: (open: Open) => Promise<T>,
): Promise<T> {
  const { flags, interaction, warn, signal = runtime.signal } = options;
  const request = await readLoginRequest(flags);
  checkNamespace(flags.namespace);
  const settings = await readSettings(runtime, flags);
  checkContextName(flags.contextName ?? settings.contextName);
  const stages = createStages(options.onStage);
  stages.begin('server');
  const reached = await reach(runtime, flags, { purpose: 'act', interaction, warn, signal });
  try {
    const { server, api } = reached;
    await options.check?.(reached, signal);
    const opened = await openSession({
      api,
      server,
      request,
      mode: flags.mode ?? settings.mode,
      stepwise: options.stepwise === true,
      isKnown: reached.isKnown,
      stages,
      interaction,
      warn,
      now: runtime.now,
      timeoutMs: flags.timeoutMs ?? defaultTimeoutMs,
      signal,
      meanwhile: loadTheRest,
    });
    reached.named(opened.cluster);
    if (opened.replicas !== undefined) reached.replicated(opened.replicas);
    const skewed = describeSkew(opened.skewMs, server);
    if (skewed !== undefined) warn(skewed);
    return await use({ opened, reached, stages, contextName: settings.contextName, signal });
  } finally {
    reached.close();
  }
}

const defaultTimeoutMs = 60_000;

/** The rest of the program, read while the server works. */
function loadTheRest(): Promise<unknown> {
  return Promise.all([
    import('../kubeconfig/cluster-access.ts'),
    import('../kubeconfig/file.ts'),
    import('../kubeconfig/entries.ts'),
  ]);
}
