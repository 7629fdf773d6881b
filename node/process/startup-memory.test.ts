import test from 'ava';
import { releaseStartupMemory } from './startup-memory.ts';

test('garbage of the start is gone after the delay, and no one else can collect at will', async (t) => {
  const collected = Promise.withResolvers<void>();
  const registry = new FinalizationRegistry(() => collected.resolve());
  (() => registry.register({ some: 'garbage' }, 'garbage'))();
  releaseStartupMemory(1);
  // Keeps the process alive while the timer under test does not.
  const alive = setInterval(() => {}, 1000);
  await collected.promise;
  clearInterval(alive);
  t.is(Reflect.get(globalThis, 'gc'), undefined);
});
