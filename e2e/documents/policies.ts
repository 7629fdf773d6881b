/** The policies of the documentation, before the control server: it takes all of them but those that it says it cannot. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Page } from '../../dev/docs/markdown.ts';
import { peopleIn } from '../../dev/stack/policy.ts';
import type { Stack } from '../../dev/stack/stack.ts';

export function policyCases(stack: () => Stack, pages: readonly Page[]): void {
  const policies = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language, text }) => language === 'json' && text.includes('"grants"'))
      .map(({ text }, index) => ({ title: `${path}, policy ${index + 1}`, text })),
  );
  const isTailscales = (text: string): boolean => text.includes('"srcPosture"');

  const check = async (text: string): Promise<string> => {
    const { dir, headscale } = stack();
    const file = join(dir, 'policy-to-check.json');
    await writeFile(file, text);
    await Promise.all(peopleIn(text).map((person) => headscale.user(person)));
    return headscale.cli(['policy', 'check', '-f', file]);
  };

  for (const { title, text } of policies.filter((one) => !isTailscales(one.text))) {
    test.serial(`headscale takes ${title}`, async (t) => {
      t.regex(await check(text), /Policy is valid/);
    });
  }

  test.serial('headscale refuses what its page says it refuses, in those words', async (t) => {
    for (const { text } of policies.filter((one) => isTailscales(one.text))) {
      await t.throwsAsync(check(text), { message: /unknown field: "postures"/ });
      const { postures: _, ...rest } = JSON.parse(text) as Readonly<Record<string, unknown>>; // a policy
      await t.throwsAsync(check(JSON.stringify(rest)), { message: /unknown field: "srcPosture"/ });
    }
    const owned = { tagOwners: { 'tag:tka': ['autogroup:admin'] }, grants: [] };
    await t.throwsAsync(check(JSON.stringify(owned)), { message: /autogroup:admin/ });
    const tested = {
      grants: [{ src: ['nobody@example.com'], dst: ['*'], ip: ['*'] }],
      tests: [{ src: 'nobody@example.com', accept: ['100.64.0.1:80'] }],
    };
    await t.throwsAsync(check(JSON.stringify(tested)), { message: /resolved to no IP addresses/ });
  });
}
