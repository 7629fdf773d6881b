import { readFile } from 'node:fs/promises';
import test from 'ava';
import { imageConfig, places } from './contents.ts';

/** Instructions of the last stage, with what follows each. */
const instructions = async (): Promise<readonly (readonly [string, string])[]> => {
  const text = await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const last = text.slice(text.lastIndexOf('\nFROM '));
  return [...last.matchAll(/^([A-Z]+) (.+)$/gm)].map(([, name = '', rest = '']) => [name, rest] as const);
};

test('the Dockerfile makes an image that starts as the one written without a daemon', async (t) => {
  const lines = await instructions();
  const of = (wanted: string): readonly string[] => lines.filter(([name]) => name === wanted).map(([, rest]) => rest);
  t.deepEqual(of('USER'), [imageConfig.User]);
  t.deepEqual(of('WORKDIR'), [imageConfig.WorkingDir]);
  t.deepEqual(of('ENV'), imageConfig.Env);
  t.deepEqual(
    of('ENTRYPOINT').map((list) => JSON.parse(list)),
    [imageConfig.Entrypoint],
  );
  t.deepEqual(
    of('CMD').map((list) => JSON.parse(list)),
    [imageConfig.Cmd],
  );
});

test('the Dockerfile puts the same files in the same places', async (t) => {
  const copied = (await instructions()).filter(([name]) => name === 'COPY').map(([, rest]) => rest.split(' ').at(-1));
  const expected = Object.values(places);
  t.is(copied.length, expected.length);
  for (const place of expected) t.true(copied.includes(place), place);
});

test('the Dockerfile compiles the engine as the build script does', async (t) => {
  const [docker, script] = await Promise.all(
    ['../../Dockerfile', '../build-engine.ts'].map((file) => readFile(new URL(file, import.meta.url), 'utf8')),
  );
  for (const flag of ['-trimpath', '-buildvcs=false', '-s -w']) {
    t.true(docker?.includes(flag), flag);
    t.true(script?.includes(flag), flag);
  }
});
