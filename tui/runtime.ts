/**
 * The process as commands see it. cli.ts makes the real one; nothing else reads `process`, so that a command can be
 * tested, or drawn by a screen, without one.
 */
import type { ReadStream, WriteStream } from 'node:tty';

export interface Runtime {
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
}

export interface Terminal {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly stderr: WriteStream;
}

export type OutputStream = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY'>>;
