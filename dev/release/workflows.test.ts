/** What the workflow files promise: least rights, known actions, and no script that is not there. actionlint says the rest. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';

const root = join(import.meta.dirname, '../..');
const folder = join(root, '.github/workflows');
const rights = z.record(z.string(), z.enum(['read', 'write', 'none']));
const workflowSchema = z.looseObject({
  name: z.string(),
  permissions: rights,
  jobs: z.record(
    z.string(),
    z.looseObject({
      permissions: rights.optional(),
      'timeout-minutes': z.number(),
      steps: z.array(
        z.looseObject({ uses: z.string().optional(), run: z.string().optional(), with: z.unknown().optional() }),
      ),
    }),
  ),
});

const workflows = await Promise.all(
  (await readdir(folder)).map(async (file) => workflowSchema.parse(parse(await readFile(join(folder, file), 'utf8')))),
);
const jobs = workflows.flatMap((workflow) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ ...job, name: `${workflow.name}/${name}` })),
);
const steps = jobs.flatMap((job) => job.steps);

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

test("actions are GitHub's own, and a checkout leaves no credential behind", (t) => {
  const used = steps.flatMap(({ uses }) => uses ?? []);
  t.true(used.length > 0);
  for (const action of used) t.regex(action, /^actions\/[a-z-]+@v\d+$/);
  for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) {
    t.like(step.with, { 'persist-credentials': false });
  }
});

test('scripts that are run are there', async (t) => {
  const schema = z.object({ scripts: z.record(z.string(), z.string()) });
  const { scripts } = schema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  const named = steps.flatMap(({ run = '' }) => [...run.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name));
  t.deepEqual(named, ['build:packages', 'build:image']);
  for (const name of named) t.true(name in scripts, name);
  const ci = steps.filter(({ run }) => run === '.ci/run');
  t.is(ci.length, 2);
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
