/** Periods that a rule allows, to choose from or as typed. The same bounds as the server's; it decides. */
import { parseDurationMs } from '../../../node/http/rules.ts';

const minPeriodMs = 10 * 60_000;
const steps = ['10m', '30m', '1h', '2h', '4h', '8h', '12h', '24h', '72h', '168h'];

/** What people are likely to want, longest first: the longest there is, and steps below it. */
export function periodsUpTo(longest: string): readonly string[] {
  const longestMs = parseDurationMs(longest);
  if (longestMs === undefined) return [longest];
  return [longest, ...steps.filter((step) => (parseDurationMs(step) ?? Infinity) < longestMs).reverse()];
}

/** What is wrong with a typed period; undefined if it is valid. */
export function problemOf(text: string, longest: string): string | undefined {
  const ms = parseDurationMs(text);
  if (ms === undefined) return 'Enter a duration such as 8h, 90m or 1h30m.';
  if (ms < minPeriodMs) return 'The minimum is 10m.';
  const longestMs = parseDurationMs(longest);
  return longestMs !== undefined && ms > longestMs ? `The maximum is ${longest}.` : undefined;
}
