/**
 * The end of a connection that this side decides on: last bytes, then silence, then nothing.
 *
 * What still comes is read away for a moment: a connection that is closed over unread bytes is reset, and the last bytes may be
 * lost on their way. Whoever does not read, or does not hang up in turn, is left soon: nothing of it remains open.
 */
import type { Duplex } from 'node:stream';

const lingerMs = 500;

/** `patienceMs`: for the caller to read what is on its way to it. */
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
