/**
 * The engine, with its hints that peers have changed taken out of what it says: tka must then find out by itself. The hints
 * are kept in a file, so that a test can show that there were some.
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface DeafEngine {
  /** Path of the program. */
  readonly program: string;
  /** Path of what was kept back. */
  readonly hints: string;
}

export function writeDeafEngine(dir: string): DeafEngine {
  const engine = process.env['TKA_ENGINE'] ?? join(import.meta.dirname, '../../dist/engine/tka-engine');
  const [program, hints] = [join(dir, 'deaf-engine'), join(dir, 'hints')];
  writeFileSync(hints, '');
  const filter = `/^{"type":"peers"}/{w ${hints}\nd\n}`;
  writeFileSync(program, `#!/bin/sh\n'${resolve(engine)}' | sed -u '${filter}'\n`, { mode: 0o755 });
  return { program, hints };
}
