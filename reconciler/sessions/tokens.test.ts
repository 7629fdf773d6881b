import test from 'ava';
import { accountName } from '../../crd/tkasignin.ts';
import type { Cluster } from '../cluster.ts';
import { ClockBehindError, SessionEndingError } from '../errors.ts';
import { manualClock } from '../testing/manual-clock.ts';
import { testSignin } from '../testing/signin.ts';
import { accountClaim, createTokens, expiryClaim, secondsToAsk } from './tokens.ts';

const startMs = Date.parse('2026-01-01T00:00:00Z');
const { signal } = new AbortController();

const asks: readonly (readonly [number, number | undefined])[] = [
  [599, undefined],
  [600, undefined],
  [600.9, undefined],
  [601, 600],
  [630, 629],
  [3607, 3606],
  // 3607 is the number by which the API server hands out a year.
  [3608, 3606],
  [3609, 3608],
  [8 * 3600 + 30, 8 * 3600 + 29],
  [-5, undefined],
];
for (const [left, asked] of asks) {
  test(`with ${left} s left, ${asked === undefined ? 'no token' : `${asked} s`} is asked for`, (t) => {
    t.is(secondsToAsk(startMs + left * 1000, startMs), asked);
  });
}

test('exp is read from the token itself', (t) => {
  t.is(expiryClaim(jwt(startMs)), startMs);
  for (const garbage of ['', 'a.b.c', 'x', `a.${Buffer.from('null').toString('base64url')}.c`]) {
    t.is(expiryClaim(garbage), undefined);
  }
});

interface Answer {
  readonly seconds: (asked: number) => number;
  /** Where the token says another time than the answer around it. */
  readonly claimSeconds?: (asked: number) => number;
  /** How far the API server's clock is ahead. */
  readonly issuedSeconds?: number;
}

function start({ seconds, claimSeconds = seconds, issuedSeconds = 0 }: Answer) {
  const clock = manualClock(startMs);
  const asked: number[] = [];
  const cluster = {
    core: {
      createNamespacedServiceAccountToken: ({
        name,
        body,
      }: {
        name: string;
        body: { spec: { expirationSeconds: number } };
      }) => {
        const { expirationSeconds } = body.spec;
        asked.push(expirationSeconds);
        const issuedMs = clock.now() + issuedSeconds * 1000;
        const token = jwt(clock.now() + claimSeconds(expirationSeconds) * 1000, name, issuedMs);
        const expirationTimestamp = new Date(clock.now() + seconds(expirationSeconds) * 1000);
        return Promise.resolve({ status: { token, expirationTimestamp } });
      },
    },
    // Nothing else of a cluster is used to mint.
  } as unknown as Cluster;
  return { clock, asked, tokens: createTokens({ cluster, clock, onMinted: () => undefined }) };
}

function jwt(expMs: number, sub = 'x', iatMs = startMs): string {
  const part = (claims: unknown): string => Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ exp: expMs / 1000, iat: iatMs / 1000, sub, 'kubernetes.io': { serviceaccount: { uid: 'account' } } })}.x`;
}

const hour = testSignin();
const endMs = Date.parse(hour.spec.expiresAt);

test('a token ends with the session or before', async (t) => {
  const { tokens, asked } = start({ seconds: (s) => s });
  const { token, expiresAt } = await tokens.get(hour, signal);
  t.deepEqual(asked, [3599]);
  t.true(expiresAt.getTime() <= endMs);
  t.is(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub, accountName(hour));
});

test('an API server whose clock is ahead is asked for less', async (t) => {
  const { tokens, asked } = start({ seconds: (s) => s + 30 });
  const { expiresAt } = await tokens.get(hour, signal);
  t.deepEqual(asked, [3599, 3569]);
  t.true(expiresAt.getTime() <= endMs);
});

test('a session that is too short because the clock is behind says by how much, and how to get one', async (t) => {
  const short = testSignin({ spec: { expiresAt: new Date(startMs + 630_000).toISOString() } });
  const behind = start({ seconds: (s) => s + 300, issuedSeconds: 300 });
  const error = await t.throwsAsync(behind.tokens.get(short, signal), { instanceOf: ClockBehindError });
  t.regex(error?.message ?? '', /clock of tka's server is 5 min behind the API server's/);
  t.is(error?.behindMs, 300_000);
  // With enough left it works, and without a difference the end is what is wrong.
  t.true((await behind.tokens.get(hour, signal)).expiresAt.getTime() <= endMs);
  await t.throwsAsync(start({ seconds: (s) => s + 300, issuedSeconds: 3 }).tokens.get(short, signal), {
    instanceOf: SessionEndingError,
  });
});

test('an API server that gives longer tokens whatever is asked gives none to the user', async (t) => {
  const { tokens } = start({ seconds: () => 365 * 86_400 });
  await t.throwsAsync(tokens.get(hour, signal), { instanceOf: SessionEndingError });
});

test("the token's own claim is held against the end, whatever the answer around it says", async (t) => {
  const { tokens } = start({ seconds: (s) => s, claimSeconds: () => 365 * 86_400 });
  await t.throwsAsync(tokens.get(hour, signal), { instanceOf: SessionEndingError });
});

test('a session with less than the minimum left gets none, and none is asked for', async (t) => {
  const { tokens, asked, clock } = start({ seconds: (s) => s });
  await clock.advance(endMs - startMs - 600_000);
  await t.throwsAsync(tokens.get(hour, signal), { instanceOf: SessionEndingError, message: /log in again to renew/ });
  t.deepEqual(asked, []);
});

test('what tka keeps to itself may outlive the session, and is never given away', async (t) => {
  const { tokens, asked, clock } = start({ seconds: (s) => s });
  await clock.advance(endMs - startMs - 60_000);
  const { expiresAt } = await tokens.kept(hour, () => signal);
  t.is(expiresAt.getTime(), endMs - 60_000 + 600_000);
  await t.throwsAsync(tokens.get(hour, signal), { instanceOf: SessionEndingError });
  await tokens.kept(hour, () => signal);
  t.deepEqual(asked, [600]);
});

test("a session too short for a token to hand out still gets one for tka's own use", async (t) => {
  const { tokens } = start({ seconds: () => 365 * 86_400 });
  const [given, kept] = await Promise.allSettled([tokens.get(hour, signal), tokens.kept(hour, () => signal)]);
  t.is(given.status, 'rejected');
  t.is(kept.status, 'fulfilled');
});

test('the token in memory is given as long as a new one would not reach further', async (t) => {
  const { tokens, asked, clock } = start({ seconds: (s) => s });
  const first = await tokens.get(hour, signal);
  await clock.advance(3_000_000);
  t.deepEqual(await tokens.get(hour, signal), first);
  t.is(asked.length, 1);
});

test('a session whose end moved on gets a new token; one whose end came forward never the old one', async (t) => {
  const { tokens, asked } = start({ seconds: (s) => s });
  await tokens.get(hour, signal);
  const longer = testSignin({ spec: { expiresAt: '2026-01-01T02:00:00Z' } });
  t.is((await tokens.get(longer, signal)).expiresAt.getTime(), startMs + 7199_000);
  const shorter = testSignin({ spec: { expiresAt: '2026-01-01T00:30:00Z' } });
  t.is((await tokens.get(shorter, signal)).expiresAt.getTime(), startMs + 1799_000);
  t.is(asked.length, 3);
});

test("where the API server's own maximum is shorter, a token is used for half its life", async (t) => {
  const { tokens, asked, clock } = start({ seconds: (s) => Math.min(s, 1000) });
  await tokens.get(hour, signal);
  await clock.advance(499_000);
  await tokens.get(hour, signal);
  t.is(asked.length, 1);
  await clock.advance(2000);
  await tokens.get(hour, signal);
  t.is(asked.length, 2);
});

test('those who ask at once share one mint', async (t) => {
  const { tokens, asked } = start({ seconds: (s) => s });
  const all = await Promise.all(Array.from({ length: 50 }, () => tokens.get(hour, signal)));
  t.is(asked.length, 1);
  t.is(new Set(all.map(({ token }) => token)).size, 1);
});

test('a namesake made later does not get the token of the first', async (t) => {
  const { tokens } = start({ seconds: (s) => s });
  const first = await tokens.get(hour, signal);
  const second = await tokens.get(testSignin({ metadata: { uid: '22222222-2222-4222-8222-222222222222' } }), signal);
  t.not(first.token, second.token);
});

test('one caller who leaves does not take the mint from the others', async (t) => {
  const { tokens } = start({ seconds: (s) => s });
  const leaving = new AbortController();
  const [left, stayed] = [tokens.get(hour, leaving.signal), tokens.get(hour, signal)];
  leaving.abort(new Error('left'));
  await t.throwsAsync(left, { message: 'left' });
  t.truthy((await stayed).token);
});

test('a token of another account than the session has now is not given again', async (t) => {
  const { tokens, asked } = start({ seconds: (askedFor) => askedFor });
  const signin = testSignin();
  const { token } = await tokens.kept(signin, () => signal);
  tokens.accountIs(signin.metadata.uid, accountClaim(token));
  t.is((await tokens.kept(signin, () => signal)).token, token);
  t.is(asked.length, 1);
  tokens.accountIs(signin.metadata.uid, 'another');
  await tokens.kept(signin, () => signal);
  t.is(asked.length, 2);
});

for (const [account, mints] of [
  ['account', 1],
  ['another', 2],
  [undefined, 2],
] as const) {
  test(`a token under way when the account is said to be ${account ?? 'gone'}: ${mints} in all`, async (t) => {
    const { tokens, asked } = start({ seconds: (askedFor) => askedFor });
    const signin = testSignin();
    const underway = tokens.kept(signin, () => signal);
    tokens.accountIs(signin.metadata.uid, account);
    await underway;
    await tokens.kept(signin, () => signal);
    t.is(asked.length, mints);
  });
}

test('a token that the API server refused is not given again, unless it is so new that it may become known there', async (t) => {
  const { tokens, asked, clock } = start({ seconds: (askedFor) => askedFor });
  const signin = testSignin();
  const { token } = await tokens.kept(signin, () => signal);
  tokens.refused(signin.metadata.uid, token);
  await tokens.kept(signin, () => signal);
  t.is(asked.length, 1);
  await clock.advance(2000);
  tokens.refused(signin.metadata.uid, 'another');
  await tokens.kept(signin, () => signal);
  t.is(asked.length, 1);
  tokens.refused(signin.metadata.uid, token);
  await tokens.kept(signin, () => signal);
  t.is(asked.length, 2);
});
