/** Periods that a rule allows, to choose from or as typed. The same bounds as the server's; it decides. */

const minPeriodMs = 10 * 60_000;
const steps = ['10m', '30m', '1h', '2h', '4h', '8h', '12h', '24h', '72h', '168h'];

/** What people are likely to want, longest first: the longest there is, and steps below it. */
export function periodsUpTo(longest: string): readonly string[] {
  const longestMs = periodMs(longest);
  if (longestMs === undefined) return [longest];
  return [longest, ...steps.filter((step) => (periodMs(step) ?? Infinity) < longestMs).reverse()];
}

/** The contract's durations, in milliseconds; not by its own parser, whose schemas the first frame need not wait for. */
export function periodMs(text: string): number | undefined {
  const match = /^(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text);
  if (match === null) return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = match.map(Number).map((part) => (Number.isNaN(part) ? 0 : part));
  const ms = ((hours * 60 + minutes) * 60 + seconds) * 1000;
  return ms > 0 ? ms : undefined;
}

/** What is wrong with a period that somebody typed; undefined where nothing is. */
export function problemOf(text: string, longest: string): string | undefined {
  const ms = periodMs(text);
  if (ms === undefined) return 'It looks like 8h, 90m or 1h30m.';
  if (ms < minPeriodMs) return 'It is 10m at least.';
  const longestMs = periodMs(longest);
  return longestMs !== undefined && ms > longestMs ? `It is ${longest} at most.` : undefined;
}
