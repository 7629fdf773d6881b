/**
 * The shell steps of the examples in docs/ci, as the CI system would run them: one script a step, with its variables.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

export interface Step {
  readonly name: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
}

const variables = z.record(z.string(), z.string()).default({});

const workflowSchema = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      env: variables,
      steps: z.array(z.object({ name: z.string().optional(), run: z.string().optional(), env: variables })),
    }),
  ),
});

/** `context`: what `${{ secrets.X }}` and `${{ vars.X }}` stand for, by `secrets.X` and `vars.X`. */
export async function gitHubSteps(context: Readonly<Record<string, string>>): Promise<readonly Step[]> {
  const { jobs } = workflowSchema.parse(parse(await example('github-actions.yml')));
  const fill = (text: string): string =>
    text.replaceAll(/\$\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => context[name] ?? '');
  return Object.values(jobs).flatMap((job) =>
    job.steps.flatMap(({ name = '', run, env }) => {
      if (run === undefined) return [];
      const filled = Object.entries({ ...job.env, ...env }).map(([key, value]) => [key, fill(value)] as const);
      // The default shell stops at the first failure.
      return [{ name, script: `set -e\n${fill(run)}`, env: Object.fromEntries(filled) }];
    }),
  );
}

const pipelineSchema = z.looseObject({ stages: z.array(z.string()), variables });
const jobSchema = z.object({ stage: z.string(), script: z.array(z.string()) });

/** In the order of the stages. `project`: the variables of the project's settings. */
export async function gitLabSteps(project: Readonly<Record<string, string>>): Promise<readonly Step[]> {
  const pipeline = pipelineSchema.parse(parse(await example('gitlab-ci.yml')));
  const jobs = Object.entries(pipeline).flatMap(([name, job]) => {
    const { data } = jobSchema.safeParse(job);
    return data === undefined ? [] : [{ name, ...data }];
  });
  return pipeline.stages.flatMap((stage) =>
    jobs
      .filter((job) => job.stage === stage)
      .map(({ name, script }) => ({
        name,
        script: ['set -eo pipefail', ...script].join('\n'),
        env: { ...pipeline.variables, ...project },
      })),
  );
}

function example(name: string): Promise<string> {
  return readFile(fileURLToPath(new URL(`../../docs/ci/${name}`, import.meta.url)), 'utf8');
}
