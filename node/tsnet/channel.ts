/**
 * Requests and answers over a pipe of lines. The transport is passed in: whoever owns it gives the bytes that arrive to
 * `receive`, and says with `fail` that it broke. From then on, and for all that was pending, every call rejects with that
 * error; a channel is never mended. A line that is no message, or too long, fails it too: there is no telling what the
 * other side thinks.
 */
import { EngineGoneError, EngineRequestError, ProtocolMismatchError } from './errors.ts';
import { createLineReader, LineTooLongError } from './lines.ts';
import {
  type EngineAnswer,
  type EngineEvent,
  type EngineMessage,
  type EngineRequest,
  engineMessage,
  MAX_LINE,
  PROTOCOL_VERSION,
} from './protocol.ts';

export interface ChannelDependencies {
  readonly write: (line: string) => void;
  readonly onEvent: (event: EngineEvent) => void;
  /** Called once; the owner ends the other side. */
  readonly onFailure: (error: Error) => void;
}

export interface Channel {
  /** Resolves when the other side has greeted with the same version. */
  readonly greeted: Promise<void>;
  call(request: EngineRequest): Promise<EngineAnswer>;
  receive(chunk: Buffer): void;
  fail(error: Error): void;
}

export function openChannel({ write, onEvent, onFailure }: ChannelDependencies): Channel {
  const pending = new Map<number, PromiseWithResolvers<EngineAnswer>>();
  const greeting = Promise.withResolvers<void>();
  // Nobody may be waiting for the greeting any more when the channel fails.
  greeting.promise.catch(() => {});
  let isGreeted = false;
  let failure: Error | undefined;
  let nextId = 0;

  write(`${JSON.stringify({ type: 'hello', version: PROTOCOL_VERSION })}\n`);

  function fail(error: Error): void {
    if (failure) return;
    failure = error;
    greeting.reject(error);
    for (const call of pending.values()) call.reject(error);
    pending.clear();
    onFailure(error);
  }

  const lines = createLineReader(MAX_LINE, receiveLine);

  function receive(chunk: Buffer): void {
    if (failure) return;
    try {
      lines.push(chunk);
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error;
      fail(new EngineGoneError(`the engine sent ${error.message}`));
    }
  }

  function receiveLine(line: string): void {
    if (failure) return;
    const message = parse(line);
    if (!isGreeted) {
      if (message?.type !== 'hello') {
        return fail(new ProtocolMismatchError('the engine did not greet: this binary is no tka-engine'));
      }
      if (message.version !== PROTOCOL_VERSION) {
        return fail(
          new ProtocolMismatchError(
            `the engine speaks protocol ${message.version}, this program ${PROTOCOL_VERSION}: build the engine anew`,
          ),
        );
      }
      isGreeted = true;
      return greeting.resolve();
    }
    switch (message?.type) {
      case 'state':
      case 'peers':
      case 'log':
      case 'save':
        return onEvent(message);
      case 'done':
      case 'identity':
      case 'identities':
      case 'address':
        return take(message.id)?.resolve(message);
      case 'failed':
        return take(message.id)?.reject(new EngineRequestError(message.code, message.message));
      default:
        return fail(new EngineGoneError('the engine sent a line that is no message'));
    }
  }

  function take(id: number): PromiseWithResolvers<EngineAnswer> | undefined {
    const call = pending.get(id);
    if (!call) fail(new EngineGoneError('the engine answered what was not asked'));
    pending.delete(id);
    return call;
  }

  return {
    greeted: greeting.promise,
    call(request) {
      if (failure) return Promise.reject(failure);
      do nextId = (nextId % 0xffff_ffff) + 1;
      while (pending.has(nextId));
      const call = Promise.withResolvers<EngineAnswer>();
      pending.set(nextId, call);
      write(`${JSON.stringify({ ...request, id: nextId })}\n`);
      return call.promise;
    },
    receive,
    fail,
  };
}

function parse(line: string): EngineMessage | undefined {
  try {
    return engineMessage.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
