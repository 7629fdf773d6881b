/** Every policy that the documentation shows is one: whole, and with rules that the server takes to the last field. */
import test from 'ava';
import * as z from 'zod';
import { parseGrants } from '../../node/http/grants.ts';
import type { Block } from './markdown.ts';
import { readPages } from './markdown.ts';

const capability = 'specht-labs.de/cap/tka';
const names = z.array(z.string());
const policySchema = z.strictObject({
  groups: z.record(z.string().startsWith('group:'), names).default({}),
  tagOwners: z.record(z.string().startsWith('tag:'), names),
  postures: z.record(z.string().startsWith('posture:'), names.min(1)).default({}),
  grants: z.array(
    z.strictObject({
      src: names.min(1),
      srcPosture: names.min(1).optional(),
      dst: names.min(1),
      ip: names.min(1).optional(),
      app: z.strictObject({ [capability]: z.array(z.unknown()).min(1) }),
    }),
  ),
  tests: z.array(z.strictObject({ src: z.string(), accept: names.optional(), deny: names.optional() })).optional(),
});

const pages = await readPages();
const inJson = pages.flatMap(({ path, blocks }) =>
  blocks.filter(({ language }) => language === 'json').map((block) => ({ path, value: parse(block, path) })),
);
const policies = inJson.filter(({ value }) => typeof value === 'object' && value !== null && 'grants' in value);

function parse({ text }: Block, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} has invalid JSON: ${text.slice(0, 80)}`, { cause });
  }
}

test('there are policies to look at', (t) => {
  t.true(policies.filter(({ path }) => path === 'docs/policy.md').length >= 8);
  t.true(policies.some(({ path }) => path === 'docs/headscale.md'));
});

test('no rule is dropped, and no two tie for the one that a login without a wish gets', (t) => {
  const rules = (value: unknown[], where: string): void => {
    const { rules: taken, dropped } = parseGrants(
      value.map((rule) => JSON.stringify(rule)),
      ['tka-system', 'tka-sessions'],
    );
    t.deepEqual(dropped, [], where);
    t.is(new Set(taken.map(({ priority }) => priority)).size, taken.length, where);
  };
  for (const { path, value } of policies) {
    for (const { app } of policySchema.parse(value).grants) rules(app[capability] ?? [], path);
  }
  const alone = inJson.filter(({ value }) => typeof value === 'object' && value !== null && 'role' in value);
  t.true(alone.length > 0);
  for (const { path, value } of alone) rules([value], path);
});

test('groups, tags and postures that are named exist, and every grant has network access', (t) => {
  for (const { path, value } of policies) {
    const { groups, tagOwners, postures, grants, tests = [] } = policySchema.parse(value);
    const known = new Set([...Object.keys(groups), ...Object.keys(tagOwners), ...Object.keys(postures)]);
    const named = [
      ...grants.flatMap(({ src, dst, srcPosture = [] }) => [...src, ...dst, ...srcPosture]),
      ...Object.values(tagOwners).flat(),
      ...tests.flatMap(({ src, accept = [], deny = [] }) => [
        src,
        ...[...accept, ...deny].map((target) => target.replace(/:\d+$/, '')),
      ]),
    ];
    for (const name of named.filter((one) => /^(group|tag|posture):/.test(one))) t.true(known.has(name), `${path}: ${name}`);
    for (const { src, dst } of grants) {
      const ways = grants.filter(
        (one) => one.srcPosture === undefined && src.every((from) => one.src.includes(from)) && dst.every((to) => one.dst.includes(to)),
      );
      t.true(ways.flatMap(({ ip = [] }) => ip).includes('tcp:443'), `${path}: ${src.join()} has no way to ${dst.join()}`);
    }
  }
});
