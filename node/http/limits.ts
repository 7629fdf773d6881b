/**
 * Rate limit for logins: one token bucket a subject, and one for all together. A bucket holds one minute's logins, so that a burst
 * passes after a quiet time, and fills evenly.
 *
 * Memory is bounded by the subjects of the last minute: a full bucket is the same as none.
 */

export interface LoginLimiter {
  /** Takes one login; undefined, or the seconds to wait where the bucket is empty. */
  take(subject: string): number | undefined;
}

interface LoginLimits {
  readonly perSubjectPerMinute: number;
  readonly totalPerMinute: number;
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** `nowMs` is a clock that never runs backwards. */
export function createLoginLimiter(limits: LoginLimits, nowMs: () => number): LoginLimiter {
  const total: Bucket = { tokens: limits.totalPerMinute, filledAt: nowMs() };
  const bySubject = new Map<string, Bucket>();
  let sweptAt = nowMs();

  return {
    take(subject) {
      const now = nowMs();
      if (now - sweptAt >= 60_000) {
        for (const [key, bucket] of bySubject) if (now - bucket.filledAt >= 60_000) bySubject.delete(key);
        sweptAt = now;
      }
      const own = bySubject.get(subject) ?? { tokens: limits.perSubjectPerMinute, filledAt: now };
      fill(own, limits.perSubjectPerMinute, now);
      fill(total, limits.totalPerMinute, now);
      // The subject's own bucket first: a caller over its limit must not use up the total.
      if (own.tokens < 1) return secondsToOne(own, limits.perSubjectPerMinute);
      if (total.tokens < 1) return secondsToOne(total, limits.totalPerMinute);
      own.tokens -= 1;
      total.tokens -= 1;
      bySubject.set(subject, own);
      return undefined;
    },
  };
}

function fill(bucket: Bucket, perMinute: number, now: number): void {
  bucket.tokens = Math.min(perMinute, bucket.tokens + ((now - bucket.filledAt) * perMinute) / 60_000);
  bucket.filledAt = now;
}

function secondsToOne(bucket: Bucket, perMinute: number): number {
  return Math.max(1, Math.ceil(((1 - bucket.tokens) * 60) / perMinute));
}
