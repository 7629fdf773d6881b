/**
 * The home screen on the real terminal: full screen, redrawn by changed lines only. What a screen reader says stays on the
 * ordinary screen, to be read again.
 */
import { render } from 'ink';
import { Suspender } from '../../components/suspender.tsx';
import { createClock } from '../../hooks/use-clock.ts';
import { ThemeProvider } from '../../hooks/use-theme.ts';
import type { GlobalFlags } from '../../flags.ts';
import type { Runtime } from '../../runtime.ts';
import { readSettings } from '../../config/settings.ts';
import { createTheme } from '../../terminal/theme.ts';
import { Home } from './home.tsx';
import { createHomeServices, type HomeServices } from './services.ts';

/** Rejects with Interrupted where a signal ended it. */
export async function runHome(
  runtime: Runtime,
  flags: GlobalFlags,
  services: HomeServices = createHomeServices(runtime, flags),
): Promise<void> {
  const { stdin, stdout, stderr } = runtime.terminal();
  const isScreenReader = runtime.env['TKA_SCREEN_READER'] === '1' || runtime.env['INK_SCREEN_READER'] === 'true';
  const theme = createTheme(runtime, flags.theme, (await readSettings(runtime, flags)).theme);
  const screen = render(
    <ThemeProvider value={theme}>
      <Suspender jobControl={runtime.jobControl} />
      <Home services={services} clock={createClock(() => runtime.now().getTime())} signal={runtime.signal} />
    </ThemeProvider>,
    {
      stdin,
      stdout,
      stderr,
      interactive: true,
      alternateScreen: !isScreenReader,
      incrementalRendering: true,
      isScreenReaderEnabled: isScreenReader,
      // A key: what is under way ends in its own order first.
      exitOnCtrlC: false,
    },
  );
  // A terminal that gets narrower breaks the lines that are too long for it, so there are more than Ink knows of to erase.
  const wipe = (): void => {
    stdout.write('\u001B[H\u001B[2J');
    screen.clear();
  };
  if (!isScreenReader) stdout.prependListener('resize', wipe);
  try {
    await screen.waitUntilExit();
  } finally {
    stdout.off('resize', wipe);
    screen.unmount();
  }
  runtime.signal.throwIfAborted();
}
