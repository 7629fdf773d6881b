/** docs/headscale.md, done: its policy, its keys, and what it says happens when somebody leaves. The last takes a machine away. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Page } from '../../dev/docs/markdown.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';

export function headscaleCases(stack: () => Stack, person: string, { blocks }: Page): void {
  const policy = blocks.find(({ language }) => language === 'json')?.text ?? '';
  const commands = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => line.startsWith('headscale '))
    .map((line) => line.split(' ').slice(1));
  const written = (...words: readonly string[]): readonly string[] => {
    const found = commands.find((command) => words.every((word) => command.includes(word)));
    if (found === undefined) throw new Error(`docs/headscale.md has no command with ${words.join(' ')}`);
    return found;
  };

  test.serial('the policy of the headscale page gives what it says, and its keys join', async (t) => {
    const { headscale, dir } = stack();
    const file = join(dir, 'policy.json');
    await writeFile(file, policy);
    const withFile = (command: readonly string[]) => command.map((word) => (word === 'policy.json' ? file : word));
    t.regex(await headscale.cli(withFile(written('policy', 'check'))), /valid/);
    await headscale.cli(withFile(written('policy', 'set')));
    await headscale.cli(written('users', 'create'));
    for (const tag of ['tag:tka', 'tag:ci']) t.regex(await headscale.cli(written('preauthkeys', tag)), /^hskey-auth-/m);

    const env = { TKA_SERVER: stack().tka.url };
    const granted = async (): Promise<string> =>
      (await stack().tkaCommand(person, ['whoami', '-o', 'json'], { env })).stdout;
    await until(async () => (await granted()).includes('"default"'), { what: 'the new policy', timeoutMs: 20_000 });
    t.regex(await granted(), /"role": "view"/);
  });

  test.serial('sessions of a machine that is made to leave as the headscale page says end', async (t) => {
    const { headscale, tka, kubernetes } = stack();
    const login = await stack().tkaCommand(person, ['login'], { env: { TKA_SERVER: tka.url } });
    t.is(login.code, 0, login.stderr);
    const { ip } = stack().machine(person);
    const machine = (await headscale.nodes()).find((node) => node.ip === ip);
    t.regex(await headscale.cli(written('nodes', 'list')), new RegExp(ip));
    const expire = written('nodes', 'expire').map((word) => (/^\d+$/.test(word) ? (machine?.id ?? '') : word));
    await headscale.cli(expire);
    const sessions = async (): Promise<string> =>
      (await kubernetes.kubectl(['get', 'tkasignins', '-A', '-o', 'name'])).stdout;
    await until(async () => (await sessions()) === '', { what: 'the session to end', timeoutMs: 30_000 });
    t.pass();
  });
}
