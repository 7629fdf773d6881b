import { randomBytes } from 'node:crypto';
import test from 'ava';
import { createSessionKeys, readToken } from './session-key.ts';

const serverKey = randomBytes(32);
const keys = createSessionKeys(() => serverKey);
const alice = { name: 'alice-example-com-0123456789', uid: 'a0b1' };

test("a session's token leads back to it", (t) => {
  const token = keys.token(alice);
  t.regex(token, /^tka_alice-example-com-0123456789_[0-9a-f]{32}$/);
  const read = readToken(token);
  t.is(read?.session, alice.name);
  t.true(keys.isKeyOf(read?.key ?? '', alice.uid));
});

test('the key of another session, of a namesake made later or of another server is none', (t) => {
  const { key = '' } = readToken(keys.token(alice)) ?? {};
  t.false(keys.isKeyOf(key, 'a0b2'));
  t.false(keys.isKeyOf(key, undefined));
  const other = createSessionKeys(() => randomBytes(32));
  t.false(other.isKeyOf(key, alice.uid));
});

test('every bit of the key counts', (t) => {
  const { key = '' } = readToken(keys.token(alice)) ?? {};
  for (let bit = 0; bit < 128; bit += 1) {
    const bytes = Buffer.from(key, 'hex');
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.false(keys.isKeyOf(bytes.toString('hex'), alice.uid));
  }
});

test('a rotated server key ends the tokens made before', (t) => {
  let current = serverKey;
  const rotating = createSessionKeys(() => current);
  const { key = '' } = readToken(rotating.token(alice)) ?? {};
  t.true(rotating.isKeyOf(key, alice.uid));
  current = randomBytes(32);
  t.false(rotating.isKeyOf(key, alice.uid));
});

const key = '0'.repeat(32);
for (const token of [
  '',
  'tka__',
  `tka__${key}`,
  `tka_a_${key}0`,
  `tka_a_${key.slice(1)}`,
  `tka_A_${key}`,
  `tka_a_${key.slice(1)}G`,
  `tka_../x_${key}`,
  `TKA_a_${key}`,
  `tka_${'a'.repeat(64)}_${key}`,
  `tka_-a_${key}`,
  `tka_a_b_${key}`,
  `tka_a_${key}\n`,
  'eyJhbGciOiJSUzI1NiJ9.e30.x',
]) {
  test(`${JSON.stringify(token)} is no token of ours`, (t) => {
    t.is(readToken(token), undefined);
  });
}
