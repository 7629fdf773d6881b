import test from 'ava';
import { finalizer } from '../../crd/tkasignin.ts';
import { accountKey, bindingKey } from './desired.ts';
import { type Observed, plan } from './plan.ts';
import { readyStatus, type SigninOverrides, testEnd, testSignin } from '../testing/signin.ts';

const before = Date.parse(testEnd) - 1;
const after = Date.parse(testEnd);
const deleted = { deletionTimestamp: '2026-01-01T00:10:00Z' };
const fresh: SigninOverrides = { status: undefined };
const failed: SigninOverrides = {
  status: { ...readyStatus(), conditions: [{ ...readyCondition(), status: 'False', reason: 'Forbidden' }] },
};
const inTwo: SigninOverrides = { ...fresh, spec: { namespaces: ['a', 'b'] } };

const removal = ['delete-binding+delete-account', 'remove-finalizer'];

const table: readonly (readonly [
  string,
  SigninOverrides,
  readonly (readonly [string, 'absent' | 'drifted' | 'present'])[],
  number,
  string,
  readonly string[],
])[] = [
  ['a new session gets account and binding at once', fresh, [], before, 'live', ['create-account+create-binding']],
  [
    'a session in two namespaces gets a binding in each',
    inTwo,
    [],
    before,
    'live',
    ['create-account+create-binding+create-binding'],
  ],
  ['a ready session needs nothing', {}, [], before, 'live', []],
  ['a session that failed is tried again as a whole', failed, [], before, 'live', ['create-account+create-binding']],
  [
    'what is missing of a ready session is made again',
    {},
    [[bindingKey(undefined), 'absent']],
    before,
    'live',
    ['create-binding'],
  ],
  ['a missing account is made again', {}, [[accountKey, 'absent']], before, 'live', ['create-account']],
  ['a drifted binding is made again', {}, [[bindingKey(undefined), 'drifted']], before, 'live', ['create-binding']],
  ['what is known to be there is not made again', fresh, [[accountKey, 'present']], before, 'live', ['create-binding']],
  [
    'a session without our finalizer is held before anything is made',
    { ...fresh, metadata: { finalizers: ['other/x'] } },
    [],
    before,
    'live',
    ['add-finalizer', 'create-account+create-binding'],
  ],
  ['a session ends at its end, not after', {}, [], after, 'ending', ['delete-signin', ...removal]],
  [
    'a new session whose end has passed is never provisioned',
    fresh,
    [],
    after + 1,
    'ending',
    ['delete-signin', ...removal],
  ],
  [
    'a deleted session loses bindings and account, then the finalizer',
    { metadata: deleted },
    [],
    before,
    'ending',
    removal,
  ],
  [
    'a deleted session in two namespaces loses both bindings',
    { ...inTwo, metadata: deleted },
    [],
    before,
    'ending',
    ['delete-binding+delete-binding+delete-account', 'remove-finalizer'],
  ],
  [
    'a deleted session that was never ready is cleaned up too',
    { ...fresh, metadata: deleted },
    [],
    before,
    'ending',
    removal,
  ],
  [
    'nothing is left to do where only others hold it',
    { metadata: { ...deleted, finalizers: ['other/x'] } },
    [],
    before,
    'held-by-others',
    [],
  ],
  [
    'the finalizers of others do not keep us from cleaning up',
    { metadata: { ...deleted, finalizers: ['other/x', finalizer] } },
    [],
    before,
    'ending',
    removal,
  ],
];
for (const [title, overrides, observed, now, phase, groups] of table) {
  test(title, (t) => {
    const decided = plan(testSignin(overrides), new Map(observed) satisfies Observed, now);
    t.is(decided.phase, phase as never);
    t.deepEqual(
      decided.groups.map((group) => group.map((action) => action.do).join('+')),
      [...groups],
    );
  });
}

function readyCondition(): NonNullable<ReturnType<typeof readyStatus>['conditions']>[number] {
  const [condition] = readyStatus().conditions ?? [];
  if (condition === undefined) throw new Error('readyStatus() has a condition');
  return condition;
}
