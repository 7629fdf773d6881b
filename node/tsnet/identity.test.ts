import test from 'ava';
import { IdentityChangedError } from './errors.ts';
import { FRESH_MS, pinIdentity } from './identity.ts';
import type { Identity } from './peer.ts';

const ALICE: Identity = {
  nodeId: 'n1',
  nodeKey: 'nodekey:1',
  nodeName: 'laptop',
  user: { id: '7', loginName: 'alice@example.com', displayName: 'Alice' },
  tags: [],
  capabilities: { cap: ['{"role":"admin"}'] },
};
const { user: _, ...NODE } = ALICE;
const TAGGED: Identity = { ...NODE, tags: ['tag:ci'] };

function pinned(first: Identity = ALICE) {
  const world = { answer: first, nowMs: 1_000, hints: 0, asked: 0, destroyed: [] as Error[], gate: Promise.resolve() };
  const identity = pinIdentity({
    first,
    takenAtMs: world.nowMs,
    ask: async () => {
      world.asked++;
      const { answer } = world;
      await world.gate;
      return answer;
    },
    nowMs: () => world.nowMs,
    hints: () => world.hints,
    destroy: (error) => world.destroyed.push(error),
  });
  return { world, identity };
}

test('the first answer is good for as long as it is fresh and nothing is heard of changes', async (t) => {
  const { world, identity } = pinned();
  world.nowMs += FRESH_MS - 1;
  t.is(await identity(), ALICE);
  t.is(world.asked, 0);
});

test('after that the engine is asked, and its answer is what counts', async (t) => {
  const { world, identity } = pinned();
  const revoked = { ...ALICE, capabilities: {} };
  world.answer = revoked;
  world.nowMs += FRESH_MS;
  t.is(await identity(), revoked);
  t.is(await identity(), revoked);
  t.is(world.asked, 1);
});

test('a hint is reason enough to ask', async (t) => {
  const { world, identity } = pinned();
  world.answer = { ...ALICE, refusal: 'expired' };
  world.hints++;
  t.is((await identity()).refusal, 'expired');
});

test('questions at once share one answer', async (t) => {
  const { world, identity } = pinned();
  world.hints++;
  await Promise.all([identity(), identity(), identity()]);
  t.is(world.asked, 1);
});

test('a hint while asking makes those who ask after it ask again', async (t) => {
  const { world, identity } = pinned();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.hints++;
  const before = identity();
  const revoked = { ...ALICE, capabilities: {} };
  world.answer = revoked;
  world.hints++;
  const after = identity();
  gate.resolve();
  t.is(await before, ALICE);
  t.is(await after, revoked);
});

for (const [title, first, answer] of [
  ['another node', ALICE, { ...ALICE, nodeId: 'n2' }],
  ['another node key', ALICE, { ...ALICE, nodeKey: 'nodekey:2' }],
  [
    'another user of the same node',
    ALICE,
    { ...ALICE, user: { id: '8', loginName: 'alice@example.com', displayName: '' } },
  ],
  ['tags in place of the user', ALICE, TAGGED],
  ['a user in place of tags', TAGGED, ALICE],
  ['nobody', ALICE, { nodeId: '', nodeKey: '', nodeName: '', tags: [], refusal: 'unknown', capabilities: {} }],
] as const satisfies readonly (readonly [string, Identity, Identity])[]) {
  test(`${title} destroys the connection, for good`, async (t) => {
    const { world, identity } = pinned(first);
    world.answer = answer;
    world.hints++;
    await t.throwsAsync(identity(), { instanceOf: IdentityChangedError });
    world.answer = first;
    await t.throwsAsync(identity(), { instanceOf: IdentityChangedError });
    t.is(world.destroyed.length, 1);
    t.is(world.asked, 1);
  });
}

test('names for display may change', async (t) => {
  const { world, identity } = pinned();
  world.answer = {
    ...ALICE,
    nodeName: 'new-laptop',
    user: { id: '7', loginName: 'alice@new.example', displayName: 'A.' },
  };
  world.hints++;
  t.is((await identity()).user?.loginName, 'alice@new.example');
  t.is(world.destroyed.length, 0);
});

test('a question that fails is asked again by the next', async (t) => {
  let fails = true;
  const identity = pinIdentity({
    first: ALICE,
    takenAtMs: 0,
    ask: () => (fails ? Promise.reject(new Error('gone')) : Promise.resolve(ALICE)),
    nowMs: () => FRESH_MS,
    hints: () => 0,
    destroy: () => t.fail(),
  });
  await t.throwsAsync(identity(), { message: 'gone' });
  fails = false;
  t.is(await identity(), ALICE);
});
