/**
 * The README and the guides, run. The README: with the policy that it gives, its examples do what it says they do. Not those that
 * need somebody's key or build the whole project; e2e/join.test.ts runs `--join`, dev/test.ts is what `npm test` runs. The guides
 * follow it on the same stack: the policies of all pages, the upgrade, and headscale, which takes alice's machine away at last.
 */
import { join } from 'node:path';
import test from 'ava';
import type { Page } from '../dev/docs/markdown.ts';
import { readPages } from '../dev/docs/markdown.ts';
import type { Policy } from '../dev/stack/policy.ts';
import type { Result } from '../dev/stack/processes.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import { headscaleCases } from './documents/headscale.ts';
import { policyCases } from './documents/policies.ts';
import { securityCases } from './documents/security.ts';
import { upgradeGuideCases } from './documents/upgrade.ts';

const alice = 'alice@example.com';
const pages = await readPages();
const page = (path: string): Page => {
  const found = pages.find((one) => one.path === path);
  if (found === undefined) throw new Error(`there is no ${path}`);
  return found;
};
const { blocks } = page('README.md');
const scripts = blocks.filter(
  ({ language, text }) => language === 'sh' && /^(tka |context=|eval )/.test(text) && !text.includes('tskey-'),
);
const consoles = blocks.filter(({ language }) => language === 'console');

let stack: Stack;

test.before(async (t) => {
  t.timeout(180_000);
  const policy = blocks.find(({ language }) => language === 'json')?.text ?? '';
  stack = await startStack({
    users: [alice],
    // What a README calls a policy must be one; the control server refuses it otherwise.
    policy: JSON.parse(policy) as Policy,
    tka: { config: { operator: { clusterName: 'demo' } } },
  });
  for (const namespace of ['dev', 'staging']) await stack.kubectl(['create', 'namespace', namespace]);
});
test.after.always(() => stack?.close());
test.afterEach.always(async () => {
  await stack.kubectl(['delete', 'tkasignins', '--all', '-n', 'tka-sessions', '--wait']);
});

const bash = (script: string): Promise<Result> =>
  stack.runAs(alice, 'bash', ['--norc', '-eo', 'pipefail', '-c', script], {
    env: { TKA_SERVER: stack.tka.url, SHELL: '/bin/bash', LANG: 'C.UTF-8' },
  });

test('there are examples to run', (t) => {
  t.true(scripts.length >= 4);
  t.true(consoles.length > 0);
});

for (const { text } of scripts) {
  test.serial(`runs: ${text.split('\n', 1)[0] ?? ''}`, async (t) => {
    const { code, stdout, stderr } = await bash(text);
    t.is(code, 0, stdout + stderr);
  });
}

for (const { text } of consoles) {
  test.serial(`says what it shows: ${text.split('\n', 1)[0] ?? ''}`, async (t) => {
    const commands = text.split('\n').filter((line) => line.startsWith('$ '));
    const ran = await bash(commands.map((line) => line.slice(2)).join('\n'));
    t.is(ran.code, 0, ran.stderr);
    const said = (ran.stdout + ran.stderr).replaceAll(stack.machine(alice).home, join('/home', 'alice'));
    for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('$ '))) {
      t.true(said.includes(line), `${line}\nis not in\n${said}`);
    }
  });
}

policyCases(() => stack, pages);
securityCases(() => stack, alice, page('docs/security.md'));
upgradeGuideCases(() => stack, alice, page('docs/upgrade.md'));
headscaleCases(() => stack, alice, page('docs/headscale.md'));
