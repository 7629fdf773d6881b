/**
 * What npm users get, made for this machine: what is in the archives and what is not, and that they work where they are
 * installed, with nothing else at hand. The engines of other platforms are built by the release workflow alone.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import test from 'ava';
import { publint } from 'publint';
import * as z from 'zod';
import { buildInfoOf } from './engine-modules.ts';
import { type BuiltPackage, buildPackages, platforms } from './packages.ts';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);
const here = platforms.filter(({ os, cpu }) => os === process.platform && cpu === process.arch);

let directory: string;
let command: BuiltPackage;
let engine: BuiltPackage;

test.before(async (t) => {
  t.timeout(300_000);
  directory = await mkdtemp(join(tmpdir(), 'tka-packages-'));
  const repository = 'https://git.example.com/example/tka';
  const built = await buildPackages({ outdir: join(directory, 'packages'), platforms: here, repository });
  const [first, second] = built;
  if (first === undefined || second === undefined) throw new Error('no package for this platform');
  [command, engine] = [first, second];
});
test.after.always(() => rm(directory, { recursive: true, force: true }));

const filesIn = async ({ archive }: BuiltPackage): Promise<readonly string[]> => {
  const { stdout } = await run('tar', ['-tzf', archive]);
  return stdout.trim().split('\n').toSorted();
};

/** Of the bundles' parts the names follow from the sources; everything else is listed. */
const part = /^package\/dist\/chunks\/(tka|tka-server)\/[\w.-]+-[A-Z0-9]{8}\.js$/;
const allowed = {
  command: [
    'package/CHANGELOG.md',
    'package/LICENSE',
    'package/README.md',
    'package/THIRD-PARTY-NOTICES',
    'package/dist/tka-server.js',
    'package/dist/tka.js',
    'package/package.json',
  ],
  engine: [
    'package/LICENSE',
    'package/README.md',
    'package/THIRD-PARTY-NOTICES',
    'package/package.json',
    'package/tka-engine',
  ],
};

test('the archives hold what is listed here, the parts of the bundles and the objects to install, and nothing else', async (t) => {
  const files = await filesIn(command);
  const objects = files.filter((file) => /^package\/(charts|crd|manifests)\//.test(file));
  const { stdout } = await run('git', ['ls-files', 'charts', 'crd', 'manifests'], { cwd: root });
  const tracked = stdout.trim().split('\n');
  t.true(tracked.includes('crd/tkasignin.yaml'));
  t.deepEqual(
    objects,
    tracked.filter((file) => !file.endsWith('.ts')).map((file) => `package/${file}`),
  );
  t.deepEqual(
    files.filter((file) => !part.test(file) && !objects.includes(file)),
    allowed.command,
  );
  t.deepEqual(await filesIn(engine), allowed.engine);
});

test('nothing in them tells of the machine that built them, and there is no source map and no test', async (t) => {
  const { stdout: goPaths } = await run('go', ['env', 'GOMODCACHE', 'GOCACHE']);
  const paths = [root, directory, ...goPaths.trim().split('\n')];
  for (const { folder } of [command, engine]) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const content = await readFile(join(entry.parentPath, entry.name));
      for (const path of paths) t.false(content.includes(path), `${entry.name} has ${path} in it`);
      if (!entry.name.endsWith('.js')) continue;
      t.notRegex(content.toString(), /sourceMappingURL=(?!data:,)/, entry.name);
      t.false(content.includes('.test.ts'), entry.name);
    }
  }
});

test('publint has nothing to say', async (t) => {
  for (const { archive } of [command, engine]) {
    const { buffer } = Uint8Array.from(await readFile(archive));
    const { messages } = await publint({ pack: { tarball: buffer }, strict: true });
    t.deepEqual(messages, []);
  }
});

test('package.json: one version for all, nothing is run at installation, engines are the only dependencies', async (t) => {
  const { version } = await json(join(root, 'package.json'), z.object({ version: z.string() }));
  const manifest = z.looseObject({
    version: z.literal(version),
    scripts: z.undefined().optional(),
    dependencies: z.undefined().optional(),
    optionalDependencies: z.record(z.string(), z.literal(version)).optional(),
    publishConfig: z.object({ access: z.literal('public'), provenance: z.literal(true) }),
    repository: z.object({ url: z.literal('git+https://git.example.com/example/tka.git') }),
  });
  const tka = await json(join(command.folder, 'package.json'), manifest);
  t.deepEqual(Object.keys(tka.optionalDependencies ?? {}), [
    '@tka/engine-linux-x64',
    '@tka/engine-linux-arm64',
    '@tka/engine-darwin-x64',
    '@tka/engine-darwin-arm64',
  ]);
  const binary = await json(join(engine.folder, 'package.json'), manifest);
  t.is(binary.optionalDependencies, undefined);
  t.like(binary, { name: engine.name, os: [process.platform], cpu: [process.arch] });
});

test('installed in an empty directory, with nothing to download from, every program works and finds the engine', async (t) => {
  t.timeout(120_000);
  const place = join(directory, 'installed');
  const home = join(directory, 'home');
  await Promise.all([place, home].map((folder) => mkdir(folder)));
  await writeFile(join(place, 'package.json'), '{"private":true}');
  const bin = join(place, 'node_modules/.bin');
  const env = { HOME: home, PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };
  const call = (program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    run(join(bin, program), args, { cwd: place, env: { ...env, ...more } });
  const cache = ['--offline', '--cache', join(directory, 'cache'), '--no-audit', '--no-fund'];
  const archives = [command.archive, engine.archive];
  await run('npm', ['install', ...cache, ...archives], { cwd: place, env });

  const { version } = await json(join(root, 'package.json'), z.object({ version: z.string() }));
  t.is((await call('tka', ['version', '--client'])).stdout.trim(), `tka ${version}`);
  t.is((await call('kubectl-tka', ['version', '--client'])).stdout.trim(), `tka ${version}`);
  t.regex((await call('tka', ['--help'])).stdout, /^Usage: tka/);
  t.regex((await call('kubectl_complete-tka', ['log'])).stdout, /^login/m);
  t.is((await call('tka-server', ['version'])).stdout.trim(), `tka-server ${version}`);
  t.regex((await call('tka-server', ['config'])).stdout, /^tailscale\.hostname\s+"tka"\s+default/m);

  // The engine has to greet before it can say that there is no control server.
  const joinNowhere = [
    'exec',
    '--join',
    '--server',
    'http://tka',
    '--control-url',
    'http://127.0.0.1:1',
    '--timeout',
    '1s',
  ];
  const key = { TS_AUTHKEY: 'tskey-auth-none' };
  const joining = await t.throwsAsync<Error & { code: number; stderr: string }>(
    call('tka', [...joinNowhere, '--', 'true'], key),
  );
  t.like(joining, { code: 4 });
  t.regex(joining?.stderr ?? '', /cannot log in at the control server/);

  await rm(join(place, 'node_modules/@tka'), { recursive: true });
  const without = await t.throwsAsync<Error & { stderr: string }>(call('tka', [...joinNowhere, '--', 'true'], key));
  t.true(without?.stderr.includes(`the package ${engine.name} is not installed`), without?.stderr);
});

test('each bill of materials is valid CycloneDX, and names what is inside', async (t) => {
  const schema = z.object({ components: z.array(z.object({ name: z.string(), version: z.string() })) });
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  for (const { billOfMaterials } of [command, engine]) {
    t.is(await validator.validate(await readFile(billOfMaterials, 'utf8')), null);
  }
  const inCommand = new Set((await json(command.billOfMaterials, schema)).components.map(({ name }) => name));
  for (const name of ['koa', 'undici', 'zod', 'ink', 'yoga-layout', 'commander']) t.true(inCommand.has(name), name);
  t.false(inCommand.has('ava'));

  const inEngine = (await json(engine.billOfMaterials, schema)).components;
  const { Deps, GoVersion } = await buildInfoOf(join(engine.folder, 'tka-engine'));
  t.deepEqual(
    inEngine.map(({ name, version }) => `${name} ${version}`).toSorted(),
    [...Deps.map((one) => `${one.Path} ${one.Version}`), `std ${GoVersion.replace('go', '')}`].toSorted(),
  );
});

test('the notices have the licence of every work that the bill of materials names', async (t) => {
  const schema = z.object({ components: z.array(z.object({ name: z.string(), version: z.string() })) });
  for (const { billOfMaterials, folder } of [command, engine]) {
    const notices = await readFile(join(folder, 'THIRD-PARTY-NOTICES'), 'utf8');
    const texts = notices.split(/^-{100}$/m).slice(1);
    for (const { name, version } of (await json(billOfMaterials, schema)).components) {
      const own = texts.filter((text) => text.split('\n\n', 1)[0]?.split('\n').includes(`${name} ${version}`));
      // Some have a short notice besides.
      t.true(
        own.some((text) => text.length > 500),
        `${name} ${version}`,
      );
    }
  }
});

test('SHA256SUMS is of every archive and bill of materials', async (t) => {
  const lines = (await readFile(join(directory, 'packages/SHA256SUMS'), 'utf8')).trim().split('\n');
  const files = [command, engine].flatMap(({ archive, billOfMaterials }) => [archive, billOfMaterials]);
  const expected = files.map(async (file) => `${sha256(await readFile(file))}  ${basename(file)}`);
  t.deepEqual(lines.toSorted(), (await Promise.all(expected)).toSorted());
});

test('the same sources give the same bytes', async (t) => {
  t.timeout(120_000);
  const again = join(directory, 'again');
  // Of the engine Go makes sure, without paths and without the state of the checkout.
  await buildPackages({ outdir: again, platforms: [], repository: 'https://git.example.com/example/tka' });
  const sums = await readFile(join(again, 'SHA256SUMS'), 'utf8');
  t.is(sums.trim().split('\n').length, 2);
  t.true((await readFile(join(directory, 'packages/SHA256SUMS'), 'utf8')).startsWith(sums));
});

async function json<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(JSON.parse(await readFile(path, 'utf8')));
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
