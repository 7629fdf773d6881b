/**
 * What an exec or attach puts on a terminal, as asciicast v2 in a directory: output and terminal size, never input. Here is decided what is
 * recorded, and its file begun; the engine, which carries the bytes, appends (tsnet/engine/recording.go).
 *
 * One file a stream, 0600, named by time, session and request ID, so that it leads to its lines of audit. `fail: closed`: what
 * cannot be recorded does not run, and ends when its recording does; `open`: it continues unrecorded, and the log says so.
 * Kubernetes' websocket protocols and SPDY can be read; a command that runs without an upgraded connection (the kubelet's `run`) cannot
 * be recorded. Which requests are meant is in roads.ts.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RecordingFailure, RecordOrder } from '../tsnet/decider.ts';
import type { Attributes } from './attributes.ts';
import type { AuditSubject } from './audit.ts';
import { Refusal } from './status-error.ts';
import { roadOf } from './roads.ts';
import type { UpgradeProtocol } from './upgrade.ts';

export type { RecordingFailure } from '../tsnet/decider.ts';

export interface RecordingOptions {
  readonly directory: string;
  readonly fail: 'open' | 'closed';
  /** Of one recording. One that reaches it has failed. */
  readonly maxBytes: number;
  /** Counts what could not be recorded, or not to its end. */
  readonly failed: (reason: RecordingFailure) => void;
  readonly log: { warn(line: object, message: string): void };
  now(): Date;
  /** Tests bring disks of their own. */
  readonly createFile?: (path: string) => number;
}

export interface Recorded {
  readonly requestId: string;
  readonly who: Partial<AuditSubject>;
  readonly what: Attributes;
}

export interface Upgraded extends Recorded {
  readonly protocol: UpgradeProtocol;
}

export interface Recording {
  /** For the engine. */
  readonly order: RecordOrder;
  /** It has failed on the way. */
  failed(failure: RecordingFailure, reason: string): void;
}

export interface Recorder {
  /**
   * Undefined where it continues unrecorded; throws Refusal where it must not. `headers`, for the API server, are left with
   * what can be read alone: a command runs as soon as the API server has chosen a protocol.
   */
  begin(stream: Upgraded, headers: Record<string, string>): Recording | undefined;
  /** For a request that is not upgraded: throws Refusal where it is a road into a container and must not be unrecorded. */
  pass(request: Recorded): void;
  /** For one whose command could not be read for the audit: throws Refusal where it must not run then. */
  passUnread(request: Recorded): void;
}

/** By protocol, the header in which a client offers what it speaks above it. */
const offers = { websocket: 'sec-websocket-protocol', 'SPDY/3.1': 'x-stream-protocol-version' } as const;

export function createRecorder(options: RecordingOptions): Recorder {
  const unrecorded = ({ requestId, who }: Recorded, error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    options.log.warn({ requestId, session: who.session, fail: options.fail, reason }, 'a stream is not recorded');
    options.failed(failureOf(error, 'unreadable'));
    if (options.fail === 'open') return;
    throw new Refusal(403, `this would have to be recorded, and cannot be: ${publicReason(error)}`, { cause: error });
  };
  return {
    pass(request) {
      if (roadOf(request.what, false) === undefined) return;
      unrecorded(request, new Error('it can only be recorded as an exec or attach: use kubectl exec'));
    },
    passUnread(request) {
      unrecorded(request, new Error('what is to run cannot be read for the audit: send it as JSON, uncompressed'));
    },
    begin(stream, headers) {
      const road = roadOf(stream.what, true);
      if (road === undefined) return undefined;
      try {
        if (road === 'unreadable') throw new Error('only exec and attach can be recorded: use kubectl exec');
        const offer = offers[stream.protocol];
        const offered = (headers[offer] ?? '').split(',').map((name) => name.trim());
        const readable = offered.filter(isReadable);
        // Over SPDY, a client that offers nothing means the first version.
        const isFirst = stream.protocol === 'SPDY/3.1' && headers[offer] === undefined;
        if (readable.length === 0 && !isFirst) throw new Error('it offers no protocol that can be read');
        const { path, bytes } = beginFile(options, stream);
        if (!isFirst) headers[offer] = readable.join(', ');
        // Compressed frames could not be read.
        delete headers['sec-websocket-extensions'];
        return {
          order: { path, maxBytes: options.maxBytes - bytes, required: options.fail === 'closed' },
          failed(failure, reason) {
            const { requestId, who } = stream;
            const line = { requestId, session: who.session, fail: options.fail, reason };
            options.log.warn(line, 'a recording has failed');
            options.failed(failure);
          },
        };
      } catch (error) {
        unrecorded(stream, error);
        return undefined;
      }
    },
  };
}

function isReadable(subprotocol: string): boolean {
  return /^(?:v[1-5]\.)?channel\.k8s\.io$/.test(subprotocol);
}

/** A caller need not know where the server's files are. */
function publicReason(error: unknown): string {
  if (error instanceof Error && !('code' in error)) return error.message;
  return 'the server cannot write the recording';
}

/** Errors of the system have a code. */
function failureOf(error: unknown, otherwise: RecordingFailure): RecordingFailure {
  if (!(error instanceof Error) || !('code' in error)) return otherwise;
  return error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'disk_full' : 'unwritable';
}

/** Before anything runs it is known that the file can be written. */
function beginFile(options: RecordingOptions, { who, what, requestId }: Upgraded): { path: string; bytes: number } {
  const at = options.now();
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const time = at.toISOString().replaceAll(/[:.]/g, '-');
  // The engine has the same working directory, but need not.
  const path = resolve(join(options.directory, `${time}-${who.session ?? 'unknown'}-${requestId}.cast`));
  const fd = options.createFile?.(path) ?? openSync(path, 'wx', 0o600);
  const title = [who.username, what.namespace, what.name, what.pod].filter((part) => part !== undefined).join(' ');
  const header = {
    version: 2,
    width: 80,
    height: 24,
    timestamp: Math.floor(at.getTime() / 1000),
    title,
    ...(what.command === undefined ? {} : { command: what.command.join(' ') }),
    tka: {
      ...who,
      namespace: what.namespace,
      ...(what.resource === 'nodes' ? { node: what.name, pod: what.pod, path: what.path } : { pod: what.name }),
      container: what.container,
      subresource: what.subresource,
      requestId,
    },
  };
  try {
    return { path, bytes: writeSync(fd, `${JSON.stringify(header)}\n`) };
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
