import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { environmentNames, settingKeys } from '../../node/config/settings.ts';
import { chartFiles } from './templates.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): Promise<string> => readFile(`${root}/${file}`, 'utf8');

test('the chart is made from the manifests as they are: npm run build:chart', async (t) => {
  for (const [file, text] of await chartFiles(root)) {
    t.is(await read(`charts/tka/${file}`), text, file);
  }
});

const statefulSet = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({ containers: z.tuple([z.object({ env: z.array(z.object({ name: z.string() })) })]) }),
    }),
  }),
});
const group = z.object({ properties: z.record(z.string(), z.unknown()) });

test("a setting that the server's environment sets, and wins with, is not among the chart's settings", async (t) => {
  const pod = statefulSet.parse(parse(await read('manifests/server/statefulset.yaml'))).spec.template.spec;
  const names = new Set(pod.containers[0].env.map(({ name }) => name));
  const set = settingKeys.filter((key) => environmentNames(key).some((name) => names.has(name)));
  t.true(set.length >= 4, set.join());
  const schema = group.parse(JSON.parse(await read('charts/tka/values.schema.json')));
  for (const key of set) {
    const found = ['settings', ...key.split('.')].reduce<unknown>(
      (above, name) => group.safeParse(above).data?.properties[name],
      schema,
    );
    t.is(found, undefined, key);
  }
});
