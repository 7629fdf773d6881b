/**
 * Where the engine's binary is: TKA_ENGINE if set, else in the package for this platform, which npm installs beside the one
 * that this file is in; in a checkout, which has no such package, the local build, which lies in dist/engine whether this file
 * runs from the sources (node/tsnet) or from a bundle (dist, or a folder of chunks in it).
 */
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { Environment } from './environment.ts';
import { EngineNotFoundError } from './errors.ts';

const NAME = 'tka-engine';

export interface EnginePathDependencies {
  readonly environment: Environment;
  /** Of this module. */
  readonly directory: string;
  /** As Node.js has it: linux-x64. */
  readonly platform: string;
  readonly isExecutable: (path: string) => boolean;
  /** The path of a file in an installed package, seen from `directory`; undefined where it is not installed. */
  readonly inPackage: (file: string) => string | undefined;
}

export function findEngine(deps: EnginePathDependencies): string {
  const override = deps.environment['TKA_ENGINE'];
  if (override) {
    const path = resolve(override);
    if (!deps.isExecutable(path)) throw new EngineNotFoundError(`TKA_ENGINE is ${path}: no executable file is there`);
    return path;
  }
  const name = `@tka/engine-${deps.platform}`;
  const packaged = deps.inPackage(`${name}/${NAME}`);
  if (packaged !== undefined && deps.isExecutable(packaged)) return packaged;
  const candidates = ['engine', '../engine', '../../engine', '../../dist/engine'].map((folder) =>
    join(deps.directory, folder, NAME),
  );
  const found = candidates.find((path) => deps.isExecutable(path));
  if (found) return found;
  throw new EngineNotFoundError(
    `there is no engine for ${deps.platform}: the package ${name} is not installed (npm leaves it out with --omit=optional); ` +
      'in a checkout run `npm run build:engine` (needs Go), or set TKA_ENGINE to a tka-engine binary',
  );
}

/** Resolves as `require` does in a file of the directory. */
export function packagesSeenFrom(directory: string): EnginePathDependencies['inPackage'] {
  const { resolve: resolveFile } = createRequire(join(directory, 'engine-path.js'));
  return (file) => {
    try {
      return resolveFile(file);
    } catch {
      return undefined;
    }
  };
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
