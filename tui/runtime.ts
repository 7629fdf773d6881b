/**
 * The process as commands see it. cli.ts makes the real one; nothing else reads `process`, so that a command can be
 * tested, or drawn by a screen, without one.
 */
import type { ReadStream, WriteStream } from 'node:tty';

export interface Runtime {
  /** Absent where the platform has none. */
  readonly jobControl?: JobControl;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** The whole terminal, for screens and for children that inherit it; touched on demand. */
  readonly terminal: () => Terminal;
  readonly platform: NodeJS.Platform;
  readonly pid: number;
  /** The running JavaScript engine and the script it was given, both absolute. */
  readonly execPath: string;
  readonly script: string;
  readonly now: () => Date;
  /** Aborted with Interrupted when a signal asks the process to stop. */
  readonly signal: AbortSignal;
  /**
   * Until the function it returns is called, such signals go to the listener instead: while a child has the terminal, and while
   * what must be done at the end is done. Absent where no signals arrive.
   */
  readonly holdSignals?: (listener: (signal: StopSignal) => void) => () => void;
}

export interface JobControl {
  /** Stops the process group, as the terminal does at Ctrl-Z. Returns when it is continued. */
  suspend(): void;
  /** Until the function it returns is called, a request to suspend goes to the listener, which calls `suspend`. */
  onSuspend(listener: () => void): () => void;
}

/** What asks a process to stop. */
export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopSignals)[number];

export interface Terminal {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly stderr: WriteStream;
}

export type OutputStream = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;
