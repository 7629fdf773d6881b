/**
 * Keys by name: `up`, `enter`, `ctrl-c`, or the character itself. Several that arrive at once, because somebody pasted or the
 * line is slow, are told one after the other, all but the first as `isFollowing`.
 */
import { type Key, useInput } from 'ink';

export function useKeys(
  onKey: (key: string, isFollowing: boolean) => void,
  { isActive }: { readonly isActive: boolean },
): void {
  useInput(
    (input, key) => {
      keyNames(input, key).forEach((name, i) => onKey(name, i > 0));
    },
    { isActive },
  );
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
  '\u001B': 'escape',
  '\u007F': 'backspace',
};
