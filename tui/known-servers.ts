/**
 * Which machine each server was when its user agreed to it: `$XDG_CONFIG_HOME/tka/known-servers.json`, 0600, written in one
 * step. A server is known by its origin; what is pinned is the tailnet node behind it, by stable node ID and tags.
 */
import type { Runtime } from './runtime.ts';

type Environment = Runtime['env'];

export interface KnownServer {
  /** The origin. */
  readonly server: string;
  readonly nodeId: string;
  readonly tags: readonly string[];
  /** What it called its cluster, `[a-z0-9.-]{1,63}`. */
  readonly cluster?: string;
}

/** Throws UserError where the file is there and cannot be understood: a pin must not be lost silently. */
export function readKnownServers(_env: Environment): readonly KnownServer[] {
  throw new Error('not written yet');
}

/** Adds or replaces; throws UserError where the file cannot be written. */
export function rememberServer(_env: Environment, _known: KnownServer): void {
  throw new Error('not written yet');
}

/** False where it was not known. */
export function forgetServer(_env: Environment, _server: string): boolean {
  throw new Error('not written yet');
}
