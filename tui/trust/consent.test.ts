/** Which servers are trusted while the local tailscaled cannot identify their machine. */
import test from 'ava';
import { type Claim, checkTrust } from './consent.ts';
import { TailnetError, type TailnetProblem } from '../tailnet/types.ts';

const pin = { server: 'http://tka', nodeId: 'n1', tags: ['tag:tka'], cluster: 'prod' };

function claim(problem: TailnetProblem, changes: Partial<Claim> = {}): Claim {
  return {
    trust: 'unverifiable',
    server: 'http://tka',
    byHand: true,
    isProxied: false,
    problem: new TailnetError(problem, 'tailscaled is off', ['tailscale up']),
    pin,
    ...changes,
  };
}

for (const problem of ['logged-out', 'stopped', 'starting'] as const) {
  test(`a trusted server is not looked for elsewhere while tailscaled is ${problem}, even if named explicitly`, async (t) => {
    const error = await t.throwsAsync(checkTrust(claim(problem), undefined), { instanceOf: TailnetError });
    t.like(error, { exitCode: 4, problem });
    t.regex(error?.message ?? '', /cannot tell which machine http:\/\/tka is: tailscaled is off/);
    t.regex(error?.advice.join('\n') ?? '', /tailscale up\n.*tka clusters forget prod$/);
  });
}

const { pin: _, ...unknown } = claim('stopped');
const believed: readonly [string, Claim][] = [
  ['a proxy leads to', claim('stopped', { isProxied: true })],
  ['a certificate tells of', claim('stopped', { server: 'https://tka', pin: { ...pin, server: 'https://tka' } })],
  ['a machine without any tailscaled reaches', claim('absent')],
  ['was not known as a machine of the tailnet', unknown],
];
for (const [what, given] of believed) {
  test(`a server that ${what} is the user's word`, async (t) => {
    t.is(await checkTrust(given, undefined), 'known');
  });
}
