/**
 * When a refusal (403) of the API server counts as lasting. For seconds after its start its authorizer refuses what is allowed, so a
 * refusal must have been seen for a while, and recently.
 */

/** How long a refusal must have been seen. */
export const confirmedMs = 10_000;
/** A refusal that was not seen for this long starts again. */
const forgottenMs = 60_000;

export interface Refusals {
  /** Records a refusal; returns whether it has lasted. */
  isLasting(what: string, nowMs: number): boolean;
  allowed(what: string): void;
}

export function createRefusals(): Refusals {
  const seen = new Map<string, { readonly since: number; readonly last: number }>();
  return {
    isLasting(what, nowMs) {
      const before = seen.get(what);
      const isSame = before !== undefined && nowMs >= before.last && nowMs - before.last < forgottenMs;
      const since = isSame ? before.since : nowMs;
      seen.set(what, { since, last: nowMs });
      return nowMs - since >= confirmedMs;
    },
    allowed: (what) => void seen.delete(what),
  };
}
