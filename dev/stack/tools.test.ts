import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { buildArguments, cacheDir, cacheKey, toolVersion, tools } from './tools.ts';
import type { Tool } from './tools.ts';

const tool: Tool = { name: 'headscale', packages: ['example.org/a'], module: 'example.org/a', ldflags: () => '-s' };
const files: Readonly<Record<string, string>> = {
  'go.mod': 'module x\n\nrequire example.org/a v1.2.3\n',
  'go.sum': 'sums',
  'main.go': 'package main',
};
const keyOf = (changed: Partial<Tool>, contents = files): string =>
  cacheKey({ ...tool, ...changed }, Object.keys(contents), (_tool, file) => contents[file] ?? '');

test('a cache key names the tool and the version that its go.mod requires', (t) => {
  t.regex(keyOf({}), /^headscale-1\.2\.3-[0-9a-f]{12}$/);
});

test('a cache key changes with each source file, the flags and the packages, and with nothing else', (t) => {
  const variants = [
    keyOf({}),
    ...Object.keys(files).map((file) => keyOf({}, { ...files, [file]: `${files[file]}\n// changed` })),
    keyOf({ ldflags: () => '-s -w' }),
    keyOf({ packages: ['example.org/b'] }),
    keyOf({ links: { a: 'b' } }),
  ];
  t.is(new Set(variants).size, variants.length);
  t.is(keyOf({ about: 'longer' }), keyOf({}));
});

test('a version is read from a require block too, and a module that is not there is an error', (t) => {
  const read = (): string => 'require (\n\tother.example v9.0.0\n\texample.org/a v1.36.3\n)\n';
  t.is(toolVersion(tool, read), '1.36.3');
  t.throws(() => toolVersion({ ...tool, module: 'nobody.example' }, read), { message: /nobody\.example/ });
});

test('the Kubernetes components are told their own version', (t) => {
  const kube = tools.find(({ name }) => name === 'kube');
  t.truthy(kube);
  const flags = kube === undefined ? '' : buildArguments(kube, '/out').join(' ');
  t.regex(flags, /version\.gitVersion=v1\.\d+\.\d+ .*gitMajor=1 .*gitMinor=\d+/);
  t.regex(flags, /-mod=readonly/);
});

test('the cache is where XDG says, unless that is a relative path', (t) => {
  t.is(cacheDir({ XDG_CACHE_HOME: '/var/cache/me' }), '/var/cache/me/tka');
  t.is(cacheDir({ XDG_CACHE_HOME: 'relative' }), join(homedir(), '.cache/tka'));
  t.is(cacheDir({}), join(homedir(), '.cache/tka'));
});
