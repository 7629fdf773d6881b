/**
 * Keeps an engine running. Each run is started, brought up by its owner, watched by heartbeat, and followed by the next,
 * after a pause that doubles with each failure and starts over once a run has lasted. Ends for good when the owner closes
 * it, or when no engine can be had at all: no binary, another protocol, or a first start that fails.
 */
import { setTimeout } from 'node:timers/promises';
import { Engine, type EngineDependencies } from './engine.ts';
import { EngineNotFoundError, EngineRequestError, JoinError, ProtocolMismatchError } from './errors.ts';
import { isProcessStopped, untilSilent } from './heartbeat.ts';

export interface SupervisorTimings {
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  readonly deadAfterMs: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** A run of this length counts as a success. */
  readonly lastingMs: number;
  readonly stopWithinMs: number;
}

export interface SupervisorDependencies {
  readonly engine: EngineDependencies;
  readonly timings: SupervisorTimings;
  /** In [0, 1). */
  readonly random: () => number;
  readonly nowMs: () => number;
  /** Starts the client and opens the listeners. */
  readonly bringUp: (engine: Engine) => Promise<void>;
  /** The run has ended; another will follow. */
  readonly onGone: (reason: Error) => void;
}

export class Supervisor {
  /** Settles when there will be no further run: resolves after close, rejects with what cannot be helped. */
  readonly ended: Promise<void>;
  readonly #deps: SupervisorDependencies;
  readonly #closing = new AbortController();
  #engine: Engine | undefined;

  constructor(deps: SupervisorDependencies) {
    this.#deps = deps;
    this.ended = this.#run();
    // The owner may look later.
    this.ended.catch(() => {});
  }

  /** The run that has been brought up; undefined between runs. */
  get engine(): Engine | undefined {
    return this.#engine;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.ended.catch(() => {});
  }

  async #run(): Promise<void> {
    const { timings, random, nowMs, onGone } = this.#deps;
    for (let failures = 0, runs = 0; !this.#closing.signal.aborted; runs++) {
      const startedMs = nowMs();
      const reason = await this.#runOnce(runs === 0);
      if (this.#closing.signal.aborted) return;
      onGone(reason);
      failures = nowMs() - startedMs >= timings.lastingMs ? 0 : failures + 1;
      const pauseMs = pauseAfter(failures, timings, random());
      await setTimeout(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** Returns why the run ended; throws what no further run would mend. */
  async #runOnce(isFirst: boolean): Promise<Error> {
    const { timings } = this.#deps;
    let engine: Engine;
    try {
      engine = await Engine.start(this.#deps.engine);
    } catch (error) {
      if (error instanceof ProtocolMismatchError || error instanceof EngineNotFoundError) throw error;
      return asError(error);
    }
    const over = new AbortController();
    const closing = (): void => void engine.stop(timings.stopWithinMs);
    this.#closing.signal.addEventListener('abort', closing);
    if (this.#closing.signal.aborted) closing();
    try {
      this.#engine = engine;
      this.#watch(engine, over.signal);
      await this.#deps.bringUp(engine);
    } catch (error) {
      engine.kill(`the tailnet client does not start: ${asError(error).message}`);
      await engine.gone;
      if (isFirst && error instanceof EngineRequestError) {
        throw new JoinError(`the tailnet client does not start: ${error.message}`, { cause: error });
      }
    }
    const reason = await engine.gone;
    this.#engine = undefined;
    over.abort();
    this.#closing.signal.removeEventListener('abort', closing);
    return reason;
  }

  #watch(engine: Engine, signal: AbortSignal): void {
    const { heartbeatMs, suspectAfterMs, deadAfterMs } = this.#deps.timings;
    untilSilent(
      {
        ping: () => engine.call({ type: 'ping' }),
        isStopped: () => isProcessStopped(engine.pid),
        intervalMs: heartbeatMs,
        suspectAfterMs,
        deadAfterMs,
      },
      signal,
    ).then(
      (reason) => engine.kill(reason),
      () => {},
    );
  }
}

/** Exponential, with the upper half of it random. */
export function pauseAfter(
  failures: number,
  { firstPauseMs, longestPauseMs }: Pick<SupervisorTimings, 'firstPauseMs' | 'longestPauseMs'>,
  random: number,
): number {
  const ms = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 30));
  return ms * (0.5 + random / 2);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
