/**
 * What an exec or attach put on somebody's terminal, as asciicast v2 in a directory: output and terminal size, never input.
 *
 * One file a stream, 0600, named by time, session and request ID, so that it leads to its lines of audit. `fail: closed`: what
 * cannot be recorded does not run, and ends when its recording does; `open`: it continues unrecorded, and the log says so. Only
 * Kubernetes' websocket protocols can be read: an exec over SPDY, and a command that runs without an upgraded connection (the
 * kubelet's `run`), cannot be recorded. Which requests are meant is in roads.ts.
 */
import { closeSync, createWriteStream, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { Attributes } from './attributes.ts';
import type { AuditSubject } from './audit.ts';
import { type MessagePiece, MessageReader } from './messages.ts';
import { Refusal } from './refusal.ts';
import { roadOf } from './roads.ts';
import type { Tap } from './upgrade.ts';

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

export type RecordingFailure = 'unreadable' | 'unwritable' | 'disk_full' | 'disk_slow' | 'too_large';

export interface Recorded {
  readonly requestId: string;
  readonly who: Partial<AuditSubject>;
  readonly what: Attributes;
}

export interface Upgraded extends Recorded {
  readonly protocol: 'websocket' | 'SPDY/3.1';
}

export interface Recorder {
  /**
   * Undefined where it goes on unrecorded; throws Refusal where it must not. `headers`, for the API server, are left with
   * what can be read alone: a command runs as soon as the API server has chosen a protocol.
   */
  begin(stream: Upgraded, headers: Record<string, string>): Tap | undefined;
  /** For a request that is not upgraded: throws Refusal where it is a road into a container and must not be unrecorded. */
  pass(request: Recorded): void;
  /** For one whose command could not be read for the audit: throws Refusal where it must not run then. */
  passUnread(request: Recorded): void;
}

const channels = { stdout: 1, stderr: 2, resize: 4 } as const;
/** A disk that is slower than a terminal is as good as full. */
const maxWaitingBytes = 16 * 1024 * 1024;
const maxResizeBytes = 1024;

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
      unrecorded(request, new Error('it can only be recorded as an exec or attach over websocket: use kubectl exec'));
    },
    passUnread(request) {
      unrecorded(request, new Error('what is to run cannot be read for the audit: send it as JSON, uncompressed'));
    },
    begin(stream, headers) {
      const road = roadOf(stream.what, true);
      if (road === undefined) return undefined;
      try {
        if (road === 'unreadable') throw new Error('only exec and attach can be recorded: use kubectl exec');
        if (stream.protocol !== 'websocket')
          throw new Error('it came over SPDY, which cannot be recorded: use kubectl 1.31 or newer');
        const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
        const readable = offered.filter(isReadable);
        if (readable.length === 0) throw new Error('it offers no protocol that can be read');
        const cast = new Cast(options, stream);
        headers['sec-websocket-protocol'] = readable.join(', ');
        // Compressed frames could not be read.
        delete headers['sec-websocket-extensions'];
        return cast;
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

class Cast implements Tap {
  readonly #options: RecordingOptions;
  readonly #stream: Upgraded;
  readonly #file: WriteStream;
  readonly #startedAt: number;
  readonly #decoders = new Map<number, StringDecoder>();
  #bytes = 0;
  #failure: Error | undefined;
  #onFailed = (): void => {};
  #isReadable = true;
  #channel = 0;
  #resize = '';
  readonly #out = new MessageReader((piece) => this.#output(piece));
  readonly #in = new MessageReader((piece) => this.#input(piece));

  constructor(options: RecordingOptions, stream: Upgraded) {
    this.#options = options;
    this.#stream = stream;
    const at = options.now();
    this.#startedAt = at.getTime();
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const time = at.toISOString().replaceAll(/[:.]/g, '-');
    const name = `${time}-${stream.who.session ?? 'unknown'}-${stream.requestId}.cast`;
    // Before anything runs it is known that the file can be written.
    const path = join(options.directory, name);
    const fd = options.createFile?.(path) ?? openSync(path, 'wx', 0o600);
    const { who, what } = stream;
    const title = [who.username, what.namespace, what.name, what.pod].filter((part) => part !== undefined).join(' ');
    const header = {
      version: 2,
      width: 80,
      height: 24,
      timestamp: Math.floor(this.#startedAt / 1000),
      title,
      ...(what.command === undefined ? {} : { command: what.command.join(' ') }),
      tka: {
        ...who,
        namespace: what.namespace,
        ...(what.resource === 'nodes' ? { node: what.name, pod: what.pod, path: what.path } : { pod: what.name }),
        container: what.container,
        subresource: what.subresource,
        requestId: stream.requestId,
      },
    };
    try {
      this.#bytes = writeSync(fd, `${JSON.stringify(header)}\n`);
    } catch (error) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw error;
    }
    this.#file = createWriteStream(path, { fd });
    this.#file.on('error', (error) => this.#fail(error, 'unwritable'));
  }

  /** While nothing passes, too: a full disk is found out behind the back of who writes. */
  onFailed(listener: () => void): void {
    this.#onFailed = listener;
  }

  begin(subprotocol: string): void {
    if (isReadable(subprotocol)) return;
    this.#isReadable = false;
    this.#fail(new Error(`the subprotocol ${JSON.stringify(subprotocol.slice(0, 40))} cannot be read`), 'unreadable');
    this.#check();
  }

  toCaller(chunk: Buffer): void {
    this.#read(this.#out, chunk);
  }

  fromCaller(chunk: Buffer): void {
    this.#read(this.#in, chunk);
  }

  end(): void {
    for (const decoder of this.#decoders.values()) {
      const rest = decoder.end();
      if (rest !== '') this.#event('o', rest);
    }
    this.#file.end();
  }

  #read(reader: MessageReader, chunk: Buffer): void {
    if (this.#failure === undefined && this.#isReadable) {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)), 'unreadable');
      }
      if (this.#file.writableLength > maxWaitingBytes) this.#fail(new Error('the disk is too slow'), 'disk_slow');
    }
    this.#check();
  }

  #output({ isFirst, payload }: MessagePiece): void {
    if (isFirst) this.#channel = payload[0] ?? 0;
    const data = isFirst ? payload.subarray(1) : payload;
    if (this.#channel !== channels.stdout && this.#channel !== channels.stderr) return;
    let decoder = this.#decoders.get(this.#channel);
    if (decoder === undefined) {
      decoder = new StringDecoder('utf8');
      this.#decoders.set(this.#channel, decoder);
    }
    const text = decoder.write(data);
    if (text !== '') this.#event('o', text);
  }

  /** Of what the caller sends only the size of its terminal is kept. */
  #input({ isFirst, payload }: MessagePiece): void {
    if (isFirst) this.#resize = payload[0] === channels.resize ? '\0' : '';
    if (this.#resize === '' || this.#resize.length > maxResizeBytes) return;
    this.#resize += payload.subarray(isFirst ? 1 : 0).toString('latin1');
    const size = /^\0\s*\{\s*"Width":\s*(\d{1,5}),\s*"Height":\s*(\d{1,5})\s*\}\s*$/.exec(this.#resize);
    if (size !== null) this.#event('r', `${size[1] ?? '80'}x${size[2] ?? '24'}`);
  }

  #event(type: 'o' | 'r', text: string): void {
    const seconds = (this.#options.now().getTime() - this.#startedAt) / 1000;
    this.#line([Math.max(0, seconds), type, text]);
  }

  #line(value: object): void {
    if (this.#failure !== undefined) return;
    const text = `${JSON.stringify(value)}\n`;
    this.#bytes += Buffer.byteLength(text);
    if (this.#bytes > this.#options.maxBytes)
      this.#fail(new Error('it has reached recording.maxMegabytes'), 'too_large');
    else this.#file.write(text);
  }

  #fail(error: Error, kind: RecordingFailure): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    const { requestId, who } = this.#stream;
    this.#options.log.warn(
      { requestId, session: who.session, fail: this.#options.fail, reason: error.message },
      'a recording has failed',
    );
    this.#options.failed(failureOf(error, kind));
    if (this.#options.fail === 'closed') this.#onFailed();
  }

  /** Throws where the stream must end with its recording. */
  #check(): void {
    if (this.#failure !== undefined && this.#options.fail === 'closed') throw this.#failure;
  }
}
