/**
 * Closes a connection from this side: writes the last bytes, half-closes, drains input for 500 ms, then destroys.
 *
 * Input is drained because a connection that is closed with unread bytes is reset, and the last bytes may be lost. A peer that does
 * not read, or does not close in turn, is disconnected after `patienceMs`.
 */
import type { Duplex } from 'node:stream';

const lingerMs = 500;

/** `patienceMs`: for the peer to read what is still being sent. */
export function hangUp(socket: Duplex, lastBytes: string | Buffer = '', patienceMs = 30_000): void {
  if (socket.destroyed) return;
  let timer: NodeJS.Timeout | undefined;
  const within = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), ms).unref();
  };
  within(socket.writableFinished ? lingerMs : patienceMs);
  socket.once('finish', () => within(lingerMs));
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
  if (lastBytes.length > 0) socket.end(lastBytes);
  else socket.end();
}
