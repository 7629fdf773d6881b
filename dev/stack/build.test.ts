import test from 'ava';
import { isRecent } from './build.ts';

const cases: readonly (readonly [found: string, isRecent: boolean])[] = [
  ['go1.26.6', true],
  ['go1.26.8', true],
  ['go1.27', true],
  ['go1.27rc1', true],
  ['go2.0', true],
  ['go1.26.5', false],
  ['go1.26', false],
  ['go1.25.99', false],
  ['devel go1.28-abcdef', true],
];
for (const [found, expected] of cases) {
  test(`${found} ${expected ? 'compiles the stack' : 'is too old for the stack'}`, (t) => {
    t.is(isRecent(found, '1.26.6'), expected);
  });
}
