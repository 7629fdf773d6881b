import test from 'ava';
import { createDamage } from './damage.ts';
import { accountKey, bindingKey } from './desired.ts';

const alice = { name: 'alice', uid: '1' };

test("damage stays until a pass has repaired it, and then the session's name is reported", (t) => {
  const whole: string[] = [];
  const damage = createDamage((name) => whole.push(name));
  damage.found(alice, new Map([[accountKey, 'absent']]));
  const seen = damage.of('1');
  t.deepEqual([...seen.keys()], [accountKey]);
  damage.repaired('1', seen);
  t.is(damage.of('1').size, 0);
  t.deepEqual(whole, ['alice']);
});

test('damage found while a pass repairs something else stays', (t) => {
  const damage = createDamage(() => t.fail());
  damage.found(alice, new Map([[accountKey, 'absent']]));
  const seen = damage.of('1');
  damage.found(alice, new Map([[bindingKey('a'), 'drifted']]));
  damage.repaired('1', seen);
  t.deepEqual([...damage.of('1').keys()], [accountKey, bindingKey('a')]);
});

test('a subscriber is told of damage, and not of an empty report', (t) => {
  const told: unknown[] = [];
  const damage = createDamage(() => {});
  damage.subscribe(({ uid }, observed) => void told.push(uid, [...observed]));
  damage.found(alice, new Map());
  damage.found(alice, new Map([[accountKey, 'absent']]));
  t.deepEqual(told, ['1', [[accountKey, 'absent']]]);
});

test('objects seen whole one by one make the session whole with the last', (t) => {
  const whole: string[] = [];
  const damage = createDamage((name) => whole.push(name));
  damage.found(
    alice,
    new Map([
      [accountKey, 'absent'],
      [bindingKey('a'), 'absent'],
    ]),
  );
  damage.seenWhole('1', accountKey);
  damage.seenWhole('1', accountKey);
  t.deepEqual(whole, []);
  damage.seenWhole('1', bindingKey('a'));
  t.deepEqual(whole, ['alice']);
  damage.found(alice, new Map());
  t.is(damage.of('1').size, 0);
});
