/**
 * Returns memory that the start used. V8 collects garbage when something is allocated, and a server that has just started and waits
 * allocates nothing: it would keep some 30 MB of garbage, and the pages under it, until the first busy hour.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** After `delayMs`, once; does not keep the process alive. The result cancels. */
export function releaseStartupMemory(delayMs: number): () => void {
  const timer = setTimeout(() => {
    // The only way to request a collection from inside: the flag exposes the function in new contexts only.
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    setFlagsFromString('--no-expose-gc');
    // Of the two flavors, only the last resort makes the young generation small again.
    if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
