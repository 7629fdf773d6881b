/**
 * Where the engine's binary is: TKA_ENGINE if set, else the local build, which lies in dist/engine whether this file runs
 * from the sources (node/tsnet) or from a bundle (dist, or a folder of chunks in it).
 */
import { accessSync, constants } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Environment } from './environment.ts';
import { EngineNotFoundError } from './errors.ts';

const NAME = 'tka-engine';

export interface EnginePathDependencies {
  readonly environment: Environment;
  /** Of this module. */
  readonly directory: string;
  readonly isExecutable: (path: string) => boolean;
}

export function findEngine(deps: EnginePathDependencies): string {
  const override = deps.environment['TKA_ENGINE'];
  if (override) {
    const path = resolve(override);
    if (!deps.isExecutable(path)) throw new EngineNotFoundError(`TKA_ENGINE is ${path}: no executable file is there`);
    return path;
  }
  const candidates = ['engine', '../engine', '../../engine', '../../dist/engine'].map((folder) =>
    join(deps.directory, folder, NAME),
  );
  const found = candidates.find((path) => deps.isExecutable(path));
  if (found) return found;
  throw new EngineNotFoundError(
    'the engine has not been built: run `npm run build:engine` (needs Go), or set TKA_ENGINE to a tka-engine binary',
  );
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
