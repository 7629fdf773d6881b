/** What the server has logged, line by line. */
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';

export interface LogLine {
  /** RFC 3339. */
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** `since`: milliseconds since the epoch; the names of sessions come back. */
export function logOf(stack: Stack, since = 0): LogLine[] {
  return stack.tka
    .readLog()
    .split('\n')
    .flatMap((text) => {
      if (!text.startsWith('{')) return [];
      const line = JSON.parse(text) as LogLine; // the server writes nothing else
      return timeOf(line) >= since ? [line] : [];
    });
}

/** The first line that has all of these fields; it may come in a moment. */
export function logged(stack: Stack, fields: Readonly<Record<string, unknown>>, since = 0): Promise<LogLine> {
  return until(
    () => logOf(stack, since).find((line) => Object.entries(fields).every(([name, value]) => line[name] === value)),
    { what: `a line of log with ${JSON.stringify(fields)}`, timeoutMs: 5000 },
  );
}

/** Whatever in the log looks like a session's token, an account's, or a key to the tailnet. */
export function credentialsIn(stack: Stack): string[] {
  const looks = [/tka_[a-z0-9.-]+_[0-9a-f]{32}/g, /eyJ[\w-]+\.[\w-]+\.[\w-]+/g, /(?:hskey|tskey)-[\w-]+/g];
  const log = stack.tka.readLog();
  return looks.flatMap((look) => log.match(look) ?? []);
}

/** Milliseconds since the epoch. */
export function timeOf({ time }: LogLine): number {
  return Date.parse(time);
}
