/**
 * Keys by name: `up`, `enter`, `ctrl-c`, or the character itself. What is pasted is text and never a key: it goes to `onPaste`,
 * and nowhere without one. A terminal that does not mark a paste sends it as several keys at once, as a slow line sends typed
 * ones; these are told one after the other with `isAlone` false, and must not begin or confirm anything. Only `jjk` and an enter
 * behind it are taken for typing.
 */
import { type Key, useInput, usePaste } from 'ink';

export interface KeysOptions {
  readonly isActive: boolean;
  /** One line, without control characters. */
  readonly onPaste?: (text: string) => void;
}

export function useKeys(onKey: (key: string, isAlone: boolean) => void, { isActive, onPaste }: KeysOptions): void {
  useInput(
    (input, key) => {
      const names = keyNames(input, key);
      const isAlone = names.length === 1 || /^[jk]+[\r\n]$/.test(input);
      for (const name of names) onKey(name, isAlone);
    },
    { isActive },
  );
  // Always while keys are read: without a listener Ink hands a paste on as keys.
  usePaste((text) => onPaste?.(pastedLine(text)), { isActive });
}

/** For a field of one line. */
export function pastedLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

export function keyNames(input: string, key: Key): readonly string[] {
  const named = names.find(([flag]) => key[flag]);
  if (named !== undefined) return [named[1]];
  if (key.ctrl) return [`ctrl-${input}`];
  if (key.meta) return [`alt-${input}`];
  return Array.from(input, (character) => control[character] ?? character);
}

const names: readonly (readonly [Exclude<keyof Key, 'eventType'>, string])[] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['leftArrow', 'left'],
  ['rightArrow', 'right'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
  ['tab', 'tab'],
  // What most keyboards call backspace sends what terminals call delete.
  ['backspace', 'backspace'],
  ['delete', 'backspace'],
];

/** In text that arrived in one piece. */
const control: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\u0003': 'ctrl-c',
  '\u001A': 'ctrl-z',
  '\u001B': 'escape',
  '\u007F': 'backspace',
};
