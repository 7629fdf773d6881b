/** docs/security.md: the command that ends access without the server does so. */
import test from 'ava';
import type { Page } from '../../dev/docs/markdown.ts';
import type { Stack } from '../../dev/stack/stack.ts';

export function securityCases(stack: () => Stack, person: string, { code }: Page): void {
  test.serial(
    'the bindings of all sessions are deleted by the command of the security page, and by no wider one',
    async (t) => {
      const written = code.find((one) => one.startsWith('kubectl delete clusterrolebindings'));
      const command = written?.split(' ').slice(1) ?? [];
      const login = await stack().tkaCommand(person, ['login'], { env: { TKA_SERVER: stack().tka.url } });
      t.is(login.code, 0, login.stderr);
      const { kubernetes } = stack();
      const bindings = async (): Promise<readonly string[]> =>
        (await kubernetes.kubectl(['get', 'clusterrolebindings,rolebindings', '-A', '-o', 'name'])).stdout
          .trim()
          .split('\n');
      await stack().stopTka();
      const before = await bindings();
      const { code: exitCode, stderr, stdout } = await kubernetes.kubectl(command);
      t.is(exitCode, 0, stderr);
      const deleted = stdout.trim().split('\n');
      t.is(deleted.length, 1, stdout);
      t.is((await bindings()).length, before.length - deleted.length);
      await stack().startTka();
    },
  );
}
