/**
 * The theme of the screen around a component: `<ThemeProvider value={theme}>`, then `useTheme()` below it. Without a
 * provider nothing is coloured and everything is ASCII.
 */
import { createContext, useContext } from 'react';
import { createTheme, type Theme } from '../terminal/theme.ts';

const ThemeContext = createContext<Theme>(createTheme({ env: { NO_COLOR: '1', TERM: 'dumb' }, platform: 'linux' }));

export const ThemeProvider = ThemeContext;

export function useTheme(): Theme {
  return useContext(ThemeContext);
}
