/**
 * Is the engine alive? It is pinged; one that leaves a ping unanswered for `deadAfterMs` is not. A process that the
 * system reports as stopped (SIGSTOP, a debugger) is found out sooner. A blocked event loop here is not mistaken for a
 * silent engine: answers that have arrived meanwhile are looked at before judging.
 */
import { readFile } from 'node:fs/promises';
import { setImmediate, setTimeout } from 'node:timers/promises';

export interface HeartbeatDependencies {
  readonly ping: () => Promise<unknown>;
  readonly isStopped: () => Promise<boolean>;
  readonly intervalMs: number;
  /** Silence after which it is asked whether the process is stopped. */
  readonly suspectAfterMs: number;
  readonly deadAfterMs: number;
}

/** Resolves with the reason once the engine is not alive; rejects when the signal aborts. */
export async function untilSilent(deps: HeartbeatDependencies, signal: AbortSignal): Promise<string> {
  for (;;) {
    await setTimeout(deps.intervalMs, undefined, { signal });
    let answered = false;
    const pong = deps.ping().then(
      () => (answered = true),
      () => {},
    );
    await within(deps.suspectAfterMs, pong, signal);
    if (!answered && (await deps.isStopped())) return 'the engine is stopped';
    if (!answered) await within(deps.deadAfterMs - deps.suspectAfterMs, pong, signal);
    if (!answered) await setImmediate();
    if (!answered) return `the engine has been silent for ${deps.deadAfterMs} ms`;
  }
}

async function within(ms: number, event: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const late = setTimeout(ms, undefined, { signal: either }).catch(() => {});
  await Promise.race([event, late]);
  done.abort();
  signal.throwIfAborted();
}

/** Linux only; elsewhere silence alone tells. */
export async function isProcessStopped(pid: number): Promise<boolean> {
  try {
    // pid (name) state …; the name may hold spaces and parentheses.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
    return state === 'T' || state === 't';
  } catch {
    return false;
  }
}
