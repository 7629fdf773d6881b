import test from 'ava';
import { hasRepeatedKey } from './repeated-keys.ts';

const cases: readonly (readonly [json: string, isRepeated: boolean])[] = [
  ['{"a":1,"a":2}', true],
  ['{"a":1,"\\u0061":2}', true],
  ['{"a" \t\r\n:1,"b":{},"a":2}', true],
  ['[{"b":[{"a":1,"c":[{}],"a":2}]}]', true],
  ['{"a\\"b":1,"a\\"b":2}', true],
  ['{"__proto__":1,"__proto__":2}', true],
  ['{"a":"a","b":["a","a","a"]}', false],
  ['{"a":{"a":{"a":1}},"b":{"a":1}}', false],
  ['[{"a":1},{"a":1}]', false],
  ['{"a":"\\",\\"b\\":1","b":"}{","c":"\\\\"}', false],
  ['"a"', false],
  ['{}', false],
];
for (const [json, isRepeated] of cases)
  test(`${json}: ${isRepeated ? 'has' : 'has not'} a key twice in one object`, (t) => {
    t.notThrows(() => JSON.parse(json));
    t.is(hasRepeatedKey(json), isRepeated);
  });
