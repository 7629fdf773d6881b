import test from 'ava';
import { createLogins } from './logins.ts';

const slots = { usually: 8, whileLoggingIn: 2 };

test('background work has fewer slots from the first login under way to the end of the last, failed ones included', async (t) => {
  const logins = createLogins();
  t.is(logins.backgroundSlots(slots), 8);
  const [one, other] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const running = [logins.run(() => one.promise), logins.run(() => other.promise)] as const;
  t.is(logins.backgroundSlots(slots), 2);
  one.resolve('done');
  t.is(await running[0], 'done');
  t.is(logins.backgroundSlots(slots), 2);
  other.reject(new Error('no'));
  await t.throwsAsync(running[1], { message: 'no' });
  t.is(logins.backgroundSlots(slots), 8);
});
