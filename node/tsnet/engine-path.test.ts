import test from 'ava';
import { findEngine } from './engine-path.ts';
import { EngineNotFoundError } from './errors.ts';

const at = (directory: string, files: readonly string[], environment: Record<string, string> = {}): string =>
  findEngine({
    environment,
    directory,
    platform: 'linux-x64',
    isExecutable: (path) => files.includes(path),
    inPackage: (file) => files.find((path) => path.endsWith(`/node_modules/${file}`)),
  });
const packaged = '/lib/node_modules/@tka/engine-linux-x64/tka-engine';

test('is found from the sources, from a bundle, and from a chunk of one', (t) => {
  const binary = '/repo/dist/engine/tka-engine';
  for (const directory of ['/repo/node/tsnet', '/repo/dist', '/repo/dist/chunks'])
    t.is(at(directory, [binary]), binary);
});

test('is found in the package for this platform, before a local build, and not in that for another', (t) => {
  t.is(
    at('/lib/node_modules/tka/dist/chunks/tka', [packaged, '/lib/node_modules/tka/dist/engine/tka-engine']),
    packaged,
  );
  t.throws(() => at('/lib/node_modules/tka/dist', [packaged.replace('x64', 'arm64')]));
});

test('TKA_ENGINE goes before the package and the local build', (t) => {
  t.is(at('/lib/node_modules/tka/dist', [packaged, '/opt/e'], { TKA_ENGINE: '/opt/e' }), '/opt/e');
  t.is(at('/repo/dist', ['/repo/dist/engine/tka-engine', '/opt/e'], { TKA_ENGINE: '/opt/e' }), '/opt/e');
});

test('without one the error says how to get it', (t) => {
  const build = t.throws(() => at('/repo/dist', []), { instanceOf: EngineNotFoundError });
  t.regex(build?.message ?? '', /npm run build:engine/);
  t.regex(build?.message ?? '', /@tka\/engine-linux-x64 is not installed/);
  const override = t.throws(() => at('/repo/dist', ['/repo/dist/engine/tka-engine'], { TKA_ENGINE: '/gone' }), {
    instanceOf: EngineNotFoundError,
  });
  t.regex(override?.message ?? '', /TKA_ENGINE is \/gone/);
});
