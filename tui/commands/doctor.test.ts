import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { prepare } from '../testing/command.ts';
import { createTestRuntime, type TestRuntime } from '../testing/tailscaled.ts';
import { doctor } from './doctor.ts';

/** It mounts a file system. */
const asRoot = process.getuid?.() === 0 ? test : test.skip;
const { setup, remove } = await prepare();
test.after.always(remove);

function onTerminal(runtime: TestRuntime, columns: number): TestRuntime {
  return { ...runtime, stdout: { ...runtime.stdout, isTTY: true, columns } };
}

test('what is found is broken between words and stands under itself, where the terminal is narrow', async (t) => {
  const runtime = createTestRuntime(t, { env: { NO_COLOR: '1' } });
  t.is(await doctor(onTerminal(runtime, 60), {}), 4);
  const lines = runtime.out.text.split('\n');
  t.deepEqual(
    lines.filter((line) => line.length > 60 && /\S \S/.test(line)),
    [],
  );
  const at = lines.findIndex((line) => /^\S+ failed +tailscaled /.test(line));
  t.true(at >= 0, runtime.out.text);
  t.regex(lines[at + 1] ?? '', /^ {25}\S/);
});

test('a terminal that is too narrow for columns, and what is no terminal, get whole lines', async (t) => {
  for (const columns of [40, undefined]) {
    const runtime = createTestRuntime(t, { env: { NO_COLOR: '1' } });
    await doctor(columns === undefined ? runtime : onTerminal(runtime, columns), {});
    t.regex(
      runtime.out.text,
      /^ {25}Install Tailscale, or start its daemon \(for example: sudo systemctl start tailscaled\)\.$/m,
    );
  }
});

asRoot('a cache on a full disk is found, with the remedy', async (t) => {
  const { stub, cli } = await setup(t);
  const cache = join(cli.home, '.cache', 'tka');
  mkdirSync(cache, { recursive: true });
  const fill = 'chmod 700 "$1" && head -c 1M /dev/zero >"$1/rest" 2>/dev/null; shift; exec "$@"';
  const script = `mount -t tmpfs -o size=64k none "$1" && { ${fill}; }`;
  const wrapper = ['unshare', '--mount', 'sh', '-c', script, 'sh', cache];
  const ran = await cli.run(['doctor', '-o', 'json', '--server', stub.url], {}, { wrapper });
  const { checks } = JSON.parse(ran.stdout) as { checks: { name: string }[] };
  t.like(
    checks.find(({ name }) => name === 'cache'),
    {
      state: 'warning',
      finding: `${cache} cannot be written (ENOSPC), so kubectl asks the server on every call`,
      remedy: ['Free some space.'],
    },
  );
});
