/**
 * Gives back what starting left behind. V8 collects when something is allocated, and a server that has just started and waits
 * allocates nothing: it would keep some 30 MB of garbage, and the pages under it, until the first busy hour.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** After `delayMs`, once; does not keep the process alive. The result cancels. */
export function releaseStartupMemory(delayMs: number): () => void {
  const timer = setTimeout(() => {
    // There is no other way to ask for a collection from within: the flag shows the function to new contexts alone.
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    setFlagsFromString('--no-expose-gc');
    // Of the two flavors, only the last resort makes the young generation small again.
    if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
