/** What is left of a session, in the words, figures and styles of the home screen. */
import type { Glyphs, Styles } from '../terminal/theme.ts';

export type Level = 'plenty' | 'soon' | 'last' | 'ended';

export function levelOf(remainingMs: number): Level {
  if (remainingMs <= 0) return 'ended';
  if (remainingMs < 60_000) return 'last';
  return remainingMs < 600_000 ? 'soon' : 'plenty';
}

/** Beside the colour, which not everybody sees. */
export const levelWords: Readonly<Record<Level, string>> = {
  plenty: 'left',
  soon: 'ends soon',
  last: 'last minute',
  ended: 'ended',
};

export const levelStyles: Readonly<Record<Level, keyof Styles>> = {
  plenty: 'ok',
  soon: 'warning',
  last: 'danger',
  ended: 'muted',
};

/** `7:59:42`. A second that has begun counts, so that 0:00:00 is the end itself. */
export function formatClock(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1000));
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
}

/** To be heard: in minutes, because a screen reader says every change. */
export function spokenRemaining(remainingMs: number): string {
  if (remainingMs <= 0) return 'ended';
  const minutes = Math.ceil(remainingMs / 60_000);
  if (remainingMs < 60_000) return 'ends in less than a minute';
  const hours = Math.floor(minutes / 60);
  const parts = [hours > 0 ? counted(hours, 'hour') : '', minutes % 60 > 0 ? counted(minutes % 60, 'minute') : ''];
  return `${parts.filter((part) => part !== '').join(' ')} left`;
}

/** Full at `wholeMs`; something of it is there until the end. */
export function drawBar(remainingMs: number, wholeMs: number, width: number, glyphs: Glyphs): string {
  const share = wholeMs > 0 ? Math.min(1, Math.max(0, remainingMs / wholeMs)) : 0;
  const full = Math.ceil(share * width);
  return glyphs.barFull.repeat(full) + glyphs.barEmpty.repeat(width - full);
}

export function counted(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
