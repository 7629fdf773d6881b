import test from 'ava';
import type { Key } from 'ink';
import { keyNames } from './use-keys.ts';

const none: Key = {
  upArrow: false,
  downArrow: false,
  leftArrow: false,
  rightArrow: false,
  pageDown: false,
  pageUp: false,
  home: false,
  end: false,
  return: false,
  escape: false,
  ctrl: false,
  shift: false,
  tab: false,
  backspace: false,
  delete: false,
  meta: false,
  super: false,
  hyper: false,
  capsLock: false,
  numLock: false,
};

const cases: readonly (readonly [string, Partial<Key>, readonly string[]])[] = [
  ['j', {}, ['j']],
  ['G', { shift: true }, ['G']],
  ['', { upArrow: true }, ['up']],
  ['\r', { return: true }, ['enter']],
  ['c', { ctrl: true }, ['ctrl-c']],
  ['o', { meta: true }, ['alt-o']],
  ['', { delete: true }, ['backspace']],
  ['jj\r', {}, ['j', 'j', 'enter']],
  ['jü\u0003', {}, ['j', 'ü', 'ctrl-c']],
];
for (const [input, key, expected] of cases) {
  test(`${JSON.stringify(input)} ${Object.keys(key).join()} is ${expected.join(' ')}`, (t) => {
    t.deepEqual(keyNames(input, { ...none, ...key }), expected);
  });
}
