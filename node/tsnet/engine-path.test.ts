import test from 'ava';
import { findEngine } from './engine-path.ts';
import { EngineNotFoundError } from './errors.ts';

const at = (directory: string, files: readonly string[], environment: Record<string, string> = {}): string =>
  findEngine({ environment, directory, isExecutable: (path) => files.includes(path) });

test('is found from the sources, from a bundle, and from a chunk of one', (t) => {
  const binary = '/repo/dist/engine/tka-engine';
  for (const directory of ['/repo/node/tsnet', '/repo/dist', '/repo/dist/chunks'])
    t.is(at(directory, [binary]), binary);
});

test('TKA_ENGINE goes before the local build', (t) => {
  t.is(at('/repo/dist', ['/repo/dist/engine/tka-engine', '/opt/e'], { TKA_ENGINE: '/opt/e' }), '/opt/e');
});

test('without one the error says how to get it', (t) => {
  const build = t.throws(() => at('/repo/dist', []), { instanceOf: EngineNotFoundError });
  t.regex(build?.message ?? '', /npm run build:engine/);
  const override = t.throws(() => at('/repo/dist', ['/repo/dist/engine/tka-engine'], { TKA_ENGINE: '/gone' }), {
    instanceOf: EngineNotFoundError,
  });
  t.regex(override?.message ?? '', /TKA_ENGINE is \/gone/);
});
