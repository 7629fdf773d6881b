import test from 'ava';
import { createTestRuntime, type TestRuntime } from '../testing/tailscaled.ts';
import { doctor } from './doctor.ts';

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
