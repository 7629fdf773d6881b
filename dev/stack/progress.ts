/**
 * Shows on a stream (stderr) what is going on and for how long: a spinner on a terminal; elsewhere a line at the start,
 * one each 15 s, and one at the end.
 */
import type { WriteStream } from 'node:tty';

export interface Progress {
  /** Shows the step until the returned function is called, with whether it succeeded. Steps may overlap. */
  start(title: string): (ok: boolean) => void;
  note(line: string): void;
}

export const silent: Progress = { start: () => () => undefined, note: () => undefined };

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export function createProgress(
  stream: Pick<WriteStream, 'write' | 'isTTY' | 'columns'>,
  now: () => number = () => performance.now(),
): Progress {
  return stream.isTTY ? spinner(stream, now) : plain(stream, now);
}

function plain(stream: Pick<WriteStream, 'write'>, now: () => number): Progress {
  return {
    note: (line) => void stream.write(`${line}\n`),
    start(title) {
      const startedAt = now();
      stream.write(`${title} ...\n`);
      const timer = setInterval(() => stream.write(`${title}: ${elapsed(now() - startedAt)} so far\n`), 15_000);
      timer.unref();
      return (ok) => {
        clearInterval(timer);
        stream.write(`${title}: ${ok ? 'done in' : 'failed after'} ${elapsed(now() - startedAt)}\n`);
      };
    },
  };
}

function spinner(stream: Pick<WriteStream, 'write' | 'columns'>, now: () => number): Progress {
  const running = new Map<symbol, { readonly title: string; readonly startedAt: number }>();
  let timer: NodeJS.Timeout | undefined;
  let frame = 0;
  const clear = (): void => void stream.write('\r\x1b[K');
  const draw = (): void => {
    const steps = [...running.values()].map(({ title, startedAt }) => `${title} ${elapsed(now() - startedAt)}`);
    const line = `${frames[frame++ % frames.length] ?? ''} ${steps.join(' · ')}`;
    // A wrapped line could not be cleared again.
    stream.write(`\r\x1b[K${line.slice(0, stream.columns - 1)}`);
  };
  const note = (line: string): void => {
    clear();
    stream.write(`${line}\n`);
  };
  return {
    note,
    start(title) {
      const key = Symbol(title);
      const startedAt = now();
      running.set(key, { title, startedAt });
      timer ??= setInterval(draw, 100).unref();
      return (ok) => {
        running.delete(key);
        note(`${ok ? '✔' : '✘'} ${title} (${elapsed(now() - startedAt)})`);
        if (running.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}

/** `0.4 s`, `12 s`, `3 min 05 s`. */
export function elapsed(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}
