/**
 * A component on a fake terminal, for tests: what it drew last, and keys for it.
 */
import { render } from 'ink-testing-library';
import { createElement, type ReactElement, type ReactNode } from 'react';
import { ThemeProvider } from '../hooks/use-theme.ts';
import { createTheme, type ThemeName } from '../terminal/theme.ts';

export interface Frames {
  readonly last: () => string;
  /** Resolves with the first frame from now on that matches, the present one included. */
  readonly seen: (pattern: RegExp) => Promise<string>;
  /** One after the other. */
  readonly press: (...keys: readonly string[]) => Promise<void>;
  /** In one go, as a terminal hands over what was typed quickly. */
  readonly pressAtOnce: (...keys: readonly string[]) => void;
  readonly unmount: () => void;
}

export const keys = {
  up: '\u001B[A',
  down: '\u001B[B',
  enter: '\r',
  escape: '\u001B',
  backspace: '\u007F',
  ctrlC: '\u0003',
} as const;

export const themed = (node: ReactNode, theme: ThemeName = 'none', env: Record<string, string> = {}): ReactElement =>
  createElement(
    ThemeProvider,
    { value: createTheme({ env: { LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env }, platform: 'linux' }, theme) },
    node,
  );

/** What a screen needs of its test; a picture of the screen has these as well. */
export interface ScreenOwner {
  teardown(end: () => void): void;
  log(...values: readonly string[]): void;
}

export function show(t: ScreenOwner, node: ReactNode, theme?: ThemeName): Frames {
  const { lastFrame, stdin, unmount } = render(themed(node, theme));
  t.teardown(unmount);
  const last = (): string => lastFrame() ?? '';
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    last,
    unmount,
    async seen(pattern) {
      // The test's own timeout ends an endless wait; the frame shows what was there instead.
      const report = setTimeout(() => t.log(`${String(pattern)} is not in:\n${last()}`), 5000);
      while (!pattern.test(last())) await turn();
      clearTimeout(report);
      return last();
    },
    pressAtOnce: (...pressed) => stdin.write(pressed.join('')),
    async press(...pressed) {
      for (const key of pressed) {
        stdin.write(key);
        await turn();
      }
    },
  };
}
