import test from 'ava';
import * as fc from 'fast-check';
import { secretKeyOf, stateNameOf } from './state-keys.ts';

const table: readonly (readonly [string, string])[] = [
  ['_machinekey', '_machinekey'],
  ['profile-1a2b', 'profile-1a2b'],
  ['tka.example.ts.net.crt', 'tka.example.ts.net.crt'],
  ['_serve/1a2b', '_serve--2f1a2b'],
  ['*.example.ts.net.key', '--2a.example.ts.net.key'],
  ['..data', '--2e.data'],
  ['a--b', 'a--2d-b'],
  ['a--2f', 'a--2d-2f'],
  ['-/', '---2f'],
  ['é', '--c3--a9'],
];
for (const [name, key] of table) {
  test(`${name} is ${key} and back`, (t) => {
    t.is(secretKeyOf(name), key);
    t.is(stateNameOf(key), name);
  });
}

test('every name has a key that a Secret takes, and of its own', (t) => {
  const name = fc.oneof(
    fc.string({ minLength: 1, unit: 'grapheme' }),
    fc.string({ minLength: 1, unit: fc.constantFrom('-', '.', '2', 'd', 'f', '/', '_', 'a') }),
  );
  fc.assert(
    fc.property(name, (text) => {
      const key = secretKeyOf(text);
      return /^[-._a-zA-Z0-9]+$/.test(key) && !key.startsWith('.') && stateNameOf(key) === text;
    }),
  );
  t.pass();
});

for (const key of ['a--2', 'a--', '--61', '.a', '--2F']) {
  test(`${key} is the key of no name`, (t) => {
    t.is(stateNameOf(key), undefined);
  });
}
