/**
 * Warns in a shell that its session is about to end: 10 minutes and 1 minute before, and when it has.
 *
 * The end is read again at each look, because `tka renew` moves it, and looked at by the clock at least twice a minute, because
 * timers stand still while a laptop sleeps.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readUntil, type SessionKey } from '../credential/cache.ts';
import { formatRemaining } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export interface NoticeOptions extends SessionKey {
  /** As the login had it; used where nothing newer is known. */
  readonly until: Date;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the signal aborts. */
export async function giveNotices(runtime: Runtime, { server, session, until, say, signal }: NoticeOptions) {
  let said: Notice = 'none';
  while (!signal.aborted) {
    const end = readUntil(runtime.env, { server, session })?.until ?? until;
    const next = nextNotice(end.getTime() - runtime.now().getTime(), said);
    if (next.line !== undefined) say(next.line);
    said = next.said;
    await delay(next.waitMs, undefined, { signal }).catch(() => {});
  }
}

/** The last that was said, so that nothing is said twice; an end that has moved away starts over. */
export type Notice = 'none' | 'ten minutes' | 'one minute' | 'ended';

export interface Next {
  readonly said: Notice;
  readonly line?: string;
  readonly waitMs: number;
}

export function nextNotice(remainingMs: number, said: Notice): Next {
  const due = dueAt(remainingMs);
  const line = order.indexOf(due) > order.indexOf(said) ? lineFor(due, remainingMs) : undefined;
  const untilNext = Math.min(...[10 * minuteMs, minuteMs, 0].map((at) => remainingMs - at).filter((ms) => ms > 0));
  // A millisecond more: timers may fire early.
  return { said: due, ...(line === undefined ? {} : { line }), waitMs: Math.min(untilNext, minuteMs / 2) + 1 };
}

const minuteMs = 60_000;
const order: readonly Notice[] = ['none', 'ten minutes', 'one minute', 'ended'];

function dueAt(remainingMs: number): Notice {
  if (remainingMs <= 0) return 'ended';
  if (remainingMs <= minuteMs) return 'one minute';
  return remainingMs <= 10 * minuteMs ? 'ten minutes' : 'none';
}

function lineFor(notice: Notice, remainingMs: number): string {
  return notice === 'ended'
    ? 'this session has ended. Log in again: tka login. Leave: exit'
    : `this session ends in ${formatRemaining(remainingMs)}. Extend it: tka renew`;
}
