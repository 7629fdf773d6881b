/**
 * How this machine's clock and the server's differ. Up to a minute does not matter; beyond it remaining times would be
 * wrong, and kubectl would misjudge whether tokens are valid.
 */
import type { Api } from './api.ts';
import { formatRemaining } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

/** A server ends a session this long after its period, so that the shortest one can still get its token. */
export const endGraceMs = 30_000;

/** How far the server's clock is ahead of ours, by its last answer; 0 within a minute, or where it does not say. */
export function skewOf(api: Pick<Api, 'serverDate'>, now: Runtime['now']): number {
  const date = api.serverDate();
  const skewMs = date === undefined ? 0 : date.getTime() - now().getTime();
  return Math.abs(skewMs) > 60_000 ? skewMs : 0;
}

/** Undefined where there is nothing to warn of. */
export function describeSkew(skewMs: number, server: string): string | undefined {
  if (skewMs === 0) return undefined;
  const direction = skewMs > 0 ? 'behind' : 'ahead of';
  return (
    `the clock of this machine is ${formatRemaining(Math.abs(skewMs))} ${direction} that of ${server}: ` +
    'set it, or kubectl will take tokens for valid when they are not'
  );
}
