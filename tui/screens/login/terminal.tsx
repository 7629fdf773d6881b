/**
 * Draws a login on the terminal, in the screen's normal buffer. Resolves when the login has ended, its last frame is there
 * whole and the terminal is as it was.
 */
import { render } from 'ink';
import { Suspender } from '../../components/suspender.tsx';
import { ThemeProvider } from '../../hooks/use-theme.ts';
import type { Runtime } from '../../runtime.ts';
import type { Theme } from '../../terminal/theme.ts';
import { LoginProgress } from './progress.tsx';
import type { LoginRun } from './run.ts';

export async function drawLogin(
  run: LoginRun,
  { terminal, env, now, jobControl }: Pick<Runtime, 'terminal' | 'env' | 'now' | 'jobControl'>,
  theme: Theme,
): Promise<void> {
  const { stdin, stderr } = terminal();
  const instance = render(
    <ThemeProvider value={theme}>
      <Suspender jobControl={jobControl} />
      <LoginProgress run={run} now={now} />
    </ThemeProvider>,
    {
      stdin,
      stdout: stderr,
      stderr,
      // The caller has decided that a person is watching.
      interactive: true,
      // A key as any other: the login has to stop before the screen does.
      exitOnCtrlC: false,
      incrementalRendering: true,
      isScreenReaderEnabled: env['TKA_SCREEN_READER'] === '1' || env['INK_SCREEN_READER'] === 'true',
    },
  );
  const ended = instance.waitUntilExit();
  try {
    // Rejected or not, the snapshot says how it ended. A screen that breaks ends before the login does.
    await Promise.race([run.result.catch(() => undefined), ended]);
    await instance.waitUntilRenderFlush();
  } finally {
    instance.unmount();
  }
  await ended;
}
