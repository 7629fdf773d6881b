/**
 * Which connections of callers owe an answer. Kubernetes' clients send a request when they have the answer to the one before;
 * one that comes earlier may be what was left of that, and is not forwarded. Nor is anything on a connection that
 * is about to be closed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export class Connections {
  readonly #busy = new WeakSet<Socket>();

  isBusy(socket: Socket): boolean {
    return this.#busy.has(socket);
  }

  /** False where the request must not be heeded. */
  begin(req: IncomingMessage, res: ServerResponse): boolean {
    const { socket } = req;
    if (this.#busy.has(socket)) return false;
    this.#busy.add(socket);
    res.once('close', () => {
      if (req.complete && !socket.writableEnded) this.#busy.delete(socket);
    });
    return true;
  }
}
