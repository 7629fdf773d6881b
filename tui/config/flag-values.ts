/** Values of flags and settings that several readers share. Loads no library: `tka version` is on this path. */
import { parseDurationMs } from '../../node/http/rules.ts';

/** `--timeout`: 30s, 2m; a day at most. Undefined if it is invalid. */
export function parseTimeoutMs(text: string): number | undefined {
  const ms = parseDurationMs(text);
  return ms !== undefined && ms <= 24 * 3_600_000 ? ms : undefined;
}

/** 1 to 65535; undefined if it is invalid. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** A DNS label, as names of namespaces and hosts are. */
export function isDnsLabel(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

/** What a server may call its cluster. */
export function isClusterName(text: unknown): text is string {
  return typeof text === 'string' && /^[a-z0-9.-]{1,63}$/.test(text);
}
