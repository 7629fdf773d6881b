/**
 * What the files of .github promise: least rights, known actions, existing scripts, no test left out, no dependency without
 * updates. actionlint checks the rest.
 */
import { glob, readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { endToEndTests, roomNames, roomOf } from '../test-e2e.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, '.github/workflows');
const rights = z.record(z.string(), z.enum(['read', 'write', 'none']));
const stepSchema = z.looseObject({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.unknown().optional(),
});
const workflowSchema = z.looseObject({
  name: z.string(),
  permissions: rights,
  jobs: z.record(
    z.string(),
    z.looseObject({
      permissions: rights.optional(),
      'timeout-minutes': z.number(),
      needs: z.union([z.string(), z.array(z.string())]).optional(),
      strategy: z.object({ matrix: z.object({ include: z.array(z.record(z.string(), z.string())) }) }).optional(),
      steps: z.array(stepSchema),
    }),
  ),
});

const workflows = await Promise.all(
  (await readdir(folder)).map(async (file) => workflowSchema.parse(parse(await readFile(join(folder, file), 'utf8')))),
);
const jobs = workflows.flatMap((workflow) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ ...job, name: `${workflow.name}/${name}` })),
);
const setupSchema = z.object({ runs: z.object({ steps: z.array(stepSchema) }) });
const setup = setupSchema.parse(parse(await readFile(join(root, '.github/actions/setup/action.yml'), 'utf8')));
const steps = [...jobs.flatMap((job) => job.steps), ...setup.runs.steps];

test('a workflow may read the sources and nothing else; the one job that publishes may do that', (t) => {
  t.deepEqual(
    workflows.map(({ permissions }) => permissions),
    workflows.map(() => ({ contents: 'read' })),
  );
  const more = jobs.filter(({ permissions }) => permissions !== undefined);
  t.deepEqual(
    more.map(({ name }) => name),
    ['release/publish'],
  );
  t.deepEqual(more[0]?.permissions, {
    contents: 'write',
    'id-token': 'write',
    attestations: 'write',
    packages: 'write',
  });
});

test("actions are GitHub's own or this project's, and a checkout leaves no credential behind", (t) => {
  const used = steps.flatMap(({ uses }) => uses ?? []);
  t.true(used.length > 0);
  for (const action of used) t.regex(action, /^actions\/[a-z-]+@v\d+$|^\.\/\.github\/actions\/setup$/);
  for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) {
    t.like(step.with, { 'persist-credentials': false });
  }
});

const scriptsIn = (run = ''): readonly string[] =>
  [...run.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name = '']) => name);

test('every npm script that a workflow runs exists', async (t) => {
  const schema = z.object({ scripts: z.record(z.string(), z.string()) });
  const { scripts } = schema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  const named = steps.flatMap(({ run }) => scriptsIn(run));
  t.true(named.length > 5);
  t.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  );
});

test('the jobs of CI together run every step of `npm test`, and a release runs it whole', async (t) => {
  const ci = jobs.filter(({ name }) => name.startsWith('ci/'));
  const run = new Set(ci.flatMap((job) => job.steps.flatMap((step) => scriptsIn(step.run))));
  const whole = await readFile(join(root, 'dev/test.ts'), 'utf8');
  const scripts = [...whole.matchAll(/script: '([\w:-]+)'/g)].map(([, name = '']) => name);
  t.true(scripts.length >= 5);
  t.deepEqual(
    scripts.filter((script) => !run.has(script)),
    [],
  );
  t.true(jobs.some(({ name, steps: own }) => name === 'release/build' && own.some((step) => step.run === '.ci/run')));
  // The job that branch rules name waits for all others; `stack` by way of `e2e`.
  const others = ci.map(({ name }) => name.slice(3)).filter((name) => name !== 'passed' && name !== 'stack');
  t.deepEqual(ci.find(({ name }) => name === 'ci/passed')?.needs, others);
});

test('every end-to-end test is in one room, and CI runs every room', async (t) => {
  const job = jobs.find(({ name }) => name === 'ci/e2e');
  const run = job?.strategy?.matrix.include.map(({ room = '' }) => room) ?? [];
  t.deepEqual(run.toSorted(), roomNames.toSorted());
  const filled = new Set((await endToEndTests()).map((file) => roomOf(file)));
  t.deepEqual([...filled].toSorted(), roomNames.toSorted());
});

const updatesSchema = z.object({
  updates: z.array(
    z.looseObject({
      'package-ecosystem': z.string(),
      directory: z.string().optional(),
      directories: z.array(z.string()).optional(),
    }),
  ),
});

test('updates are proposed for every package.json, go.mod, Dockerfile, workflow and action', async (t) => {
  const { updates } = updatesSchema.parse(parse(await readFile(join(root, '.github/dependabot.yml'), 'utf8')));
  const patterns = {
    npm: 'package.json',
    gomod: '{node,dev,bench}/**/go.mod',
    docker: 'Dockerfile',
    'github-actions': '.github/actions/*/action.yml',
  };
  for (const [ecosystem, pattern] of Object.entries(patterns)) {
    const covered = updates
      .filter((update) => update['package-ecosystem'] === ecosystem)
      .flatMap(({ directory, directories = [] }) => (directory === undefined ? directories : [directory]));
    const found: string[] = [];
    for await (const file of glob(pattern, { cwd: root })) found.push(file);
    t.true(found.length > 0, ecosystem);
    for (const file of found) {
      const folder = join('/', dirname(file));
      t.true(
        covered.some((path) => path === folder || (path.endsWith('/*') && dirname(folder) === path.slice(0, -2))),
        `${ecosystem}: ${folder}`,
      );
    }
  }
});

const releaseSchema = z.object({
  jobs: z.object({
    image: z.object({
      needs: z.string(),
      strategy: z.object({ matrix: z.object({ include: z.array(z.record(z.string(), z.string())) }) }),
    }),
    publish: z.object({
      needs: z.array(z.string()),
      steps: z.array(
        z.looseObject({
          id: z.string().optional(),
          uses: z.string().optional(),
          run: z.string().optional(),
          with: z.record(z.string(), z.unknown()).optional(),
        }),
      ),
    }),
  }),
});

test('the image is built for both processors, published under one name, and attested with its bill of materials', async (t) => {
  const text = await readFile(join(folder, 'release.yml'), 'utf8');
  const { image, publish } = releaseSchema.parse(parse(text)).jobs;
  const built = image.strategy.matrix.include.map(({ arch }) => arch ?? '');
  t.deepEqual(built, ['amd64', 'arm64']);
  t.true(publish.needs.includes('image'));
  const pushed = publish.steps.find(({ id }) => id === 'image')?.run ?? '';
  for (const arch of built) {
    t.true(pushed.includes(`@$(cat ${arch}.digest)`), arch);
    const bill = publish.steps.find(
      (step) =>
        step.uses?.startsWith('actions/attest-sbom@') === true &&
        String(step.with?.['sbom-path']).includes(`-${arch}.cdx.json`),
    );
    t.is(bill?.with?.['subject-digest'], `\${{ steps.image.outputs.${arch} }}`);
  }
  // What is signed is what was pushed, by its digest, and the statement lies beside it.
  const attested = publish.steps.filter(({ uses }) => uses?.startsWith('actions/attest-') === true);
  const digests = attested
    .filter(({ uses }) => uses?.startsWith('actions/attest-build-provenance@') === true)
    .map((step) => step.with?.['subject-digest']);
  t.deepEqual(
    digests,
    ['digest', ...built].map((output) => `\${{ steps.image.outputs.${output} }}`),
  );
  for (const step of attested) t.is(step.with?.['push-to-registry'], true);
  // Every output that is used is written.
  for (const [, id = '', output = ''] of text.matchAll(/steps\.(\w+)\.outputs\.(\w+)/g)) {
    const { run = '' } = publish.steps.find((step) => step.id === id) ?? {};
    t.true(
      run.includes(`echo "${output}=`) || (built.includes(output) && run.includes('echo "$arch=')),
      `${id}.${output}`,
    );
  }
});

test('the changelog begins with what is not released, or with the version that is', async (t) => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  const [first] = [...(await readFile(join(root, 'CHANGELOG.md'), 'utf8')).matchAll(/^## \[(.+?)\]/gm)];
  t.true(['Unreleased', version].includes(first?.[1] ?? ''), first?.[0]);
});
