import test from 'ava';
import { PassingError, RefusedError, UnreachableError, UserError } from '../errors.ts';
import { createRetry, type RetryOptions } from './retry.ts';

const refused = new PassingError('refuses the connection', []);
const busy = new RefusedError(503, 'unavailable', 'the engine is away', []);

function failing(...failures: readonly UserError[]) {
  let asked = 0;
  const ask = (): Promise<string> => {
    const failure = failures[asked];
    asked += 1;
    return failure === undefined ? Promise.resolve('answer') : Promise.reject(failure);
  };
  return { ask, asked: () => asked };
}

const options = (changes: Partial<RetryOptions> = {}): RetryOptions => ({
  signal: AbortSignal.timeout(5000),
  warn: () => {},
  now: () => new Date(),
  ...changes,
});

test('what passes is asked again, and told once', async (t) => {
  const warnings: string[] = [];
  const { ask, asked } = failing(refused, busy);
  const retry = createRetry(options({ warn: (line) => warnings.push(line) }));
  t.is(await retry(ask), 'answer');
  t.is(asked(), 3);
  t.deepEqual(warnings, ['refuses the connection: trying again']);
});

for (const failure of [
  new RefusedError(403, 'no_grant', 'no', []),
  new RefusedError(429, 'rate_limited', 'slow', []),
  new UnreachableError('has no address', []),
  new UserError('no', []),
]) {
  test(`${failure.name} (${failure.message}) is not asked again`, async (t) => {
    const { ask, asked } = failing(failure);
    await t.throwsAsync(createRetry(options())(ask), { is: failure });
    t.is(asked(), 1);
  });
}

test('a server that has never answered is waited for a limited time only', async (t) => {
  const { ask, asked } = failing(refused, refused, refused);
  await t.throwsAsync(createRetry(options({ firstContactTimeoutMs: 100 }))(ask), { is: refused });
  t.is(asked(), 1);
});

test('a server that answered before is waited for', async (t) => {
  const retry = createRetry(options({ firstContactTimeoutMs: 100 }));
  await retry(() => Promise.resolve());
  t.is(await retry(failing(refused).ask), 'answer');
});

test('when the time is up it fails with what went wrong last', async (t) => {
  const retry = createRetry(options({ signal: AbortSignal.timeout(50) }));
  await t.throwsAsync(retry(failing(busy, busy).ask), { is: busy });
});

test('when the time is up during another attempt it fails with what went wrong before', async (t) => {
  const controller = new AbortController();
  const retry = createRetry(options({ signal: controller.signal }));
  let attempts = 0;
  const ask = (): Promise<never> => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(refused);
    const timeout = new DOMException('The operation timed out', 'TimeoutError');
    controller.abort(timeout);
    return Promise.reject(timeout);
  };
  await t.throwsAsync(retry(ask), { is: refused });
  t.is(attempts, 2);
});

test('Ctrl-C during another attempt is not reported as what went wrong before', async (t) => {
  const controller = new AbortController();
  const interrupted = new Error('interrupted');
  const retry = createRetry(options({ signal: controller.signal }));
  let attempts = 0;
  const ask = (): Promise<never> => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(refused);
    controller.abort(interrupted);
    return Promise.reject(interrupted);
  };
  await t.throwsAsync(retry(ask), { is: interrupted });
});
