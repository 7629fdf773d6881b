/**
 * One value as one word of a shell's language: the only way by which anything gets into shell code.
 *
 * Control characters and broken text are refused, not quoted: nothing that tka puts into a shell has any, and a terminal would
 * obey them when the shell shows its variables.
 */
import type { Shell } from '../../flags.ts';

/** Throws where the value is not fit for a shell. */
export function quote(shell: Shell, value: string): string {
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) {
    throw new Error(`not fit for shell code: ${JSON.stringify(value)}`);
  }
  return quotes[shell](value);
}

const quotes: Readonly<Record<Shell, (value: string) => string>> = {
  bash: quotePosix,
  zsh: quotePosix,
  // Between single quotes fish knows these two escapes alone.
  fish: (value) => `'${value.replaceAll(/[\\']/g, '\\$&')}'`,
  // PowerShell takes typographic quotes for the plain one; each is written by doubling it.
  powershell: (value) => `'${value.replaceAll(/['\u2018-\u201B]/g, '$&$&')}'`,
};

/** Between single quotes nothing has a meaning but the quote itself, which therefore stands outside of them. */
function quotePosix(value: string): string {
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
