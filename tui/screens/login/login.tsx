/**
 * `tka login` on a terminal. The login begins at once and is drawn as soon as the screen has loaded; the screen ends with the
 * login and stays in the scrollback as it was last. On a terminal that cannot move its cursor, the same in plain lines.
 *
 * Drawn on stderr: stdout is for data.
 */
import { isDumbTerminal } from '../../terminal/dumb-terminal.ts';
import { Shown, UserError } from '../../errors.ts';
import { plainInteraction } from '../../terminal/interaction.ts';
import type { LoggedIn, LogInOptions } from '../../sessions/login.ts';
import type { Runtime } from '../../runtime.ts';
import { readSettings } from '../../config/settings.ts';
import { createTheme } from '../../terminal/theme.ts';
import { type LogIn, startLogin } from './run.ts';

export type LoginScreenOptions = Omit<LogInOptions, 'interaction' | 'onStage' | 'stepwise' | 'warn'>;

/**
 * Rejects as `logIn` does: a UserError has been drawn then, and comes wrapped in Shown. Ctrl-C rejects with Interrupted, once
 * the login has stopped and the terminal is as it was.
 */
export async function runLoginScreen(
  runtime: Runtime,
  options: LoginScreenOptions,
  { logIn }: { readonly logIn?: LogIn } = {},
): Promise<LoggedIn> {
  const { theme: configured } = await readSettings(runtime, options.flags);
  const theme = createTheme(runtime, options.flags.theme, configured);
  const isPlain = isDumbTerminal(runtime);
  const { isTTY: isAnswered } = runtime.terminal().stdin;
  const plain = isPlain ? (plainInteraction(runtime, options.flags) ?? 'none') : undefined;
  const run = startLogin(runtime, { ...options, logIn, interaction: isAnswered ? plain : 'none' });
  try {
    if (isPlain) await (await import('./plain.ts')).followLogin(run, runtime, theme);
    else await (await import('./terminal.tsx')).drawLogin(run, runtime, theme);
    return await run.result;
  } catch (error) {
    throw error instanceof UserError ? new Shown(error) : error;
  } finally {
    run.stop();
  }
}
