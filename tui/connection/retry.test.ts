import test from 'ava';
import { PassingError, RefusedError, UnreachableError, UserError } from '../errors.ts';
import { createPatience, type PatienceOptions } from './retry.ts';

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

const options = (changes: Partial<PatienceOptions> = {}): PatienceOptions => ({
  signal: AbortSignal.timeout(5000),
  warn: () => {},
  now: () => new Date(),
  ...changes,
});

test('what passes is asked again, and told once', async (t) => {
  const warnings: string[] = [];
  const { ask, asked } = failing(refused, busy);
  const patience = createPatience(options({ warn: (line) => warnings.push(line) }));
  t.is(await patience(ask), 'answer');
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
    await t.throwsAsync(createPatience(options())(ask), { is: failure });
    t.is(asked(), 1);
  });
}

test('a server that never answered is not waited for longer than a stranger is', async (t) => {
  const { ask, asked } = failing(refused, refused, refused);
  await t.throwsAsync(createPatience(options({ strangerMs: 100 }))(ask), { is: refused });
  t.is(asked(), 1);
});

test('a server that answered before is waited for', async (t) => {
  const patience = createPatience(options({ strangerMs: 100 }));
  await patience(() => Promise.resolve());
  t.is(await patience(failing(refused).ask), 'answer');
});

test('when the time is up it fails with what went wrong last', async (t) => {
  const patience = createPatience(options({ signal: AbortSignal.timeout(50) }));
  await t.throwsAsync(patience(failing(busy, busy).ask), { is: busy });
});

test('when the time is up during another attempt it fails with what went wrong before', async (t) => {
  const controller = new AbortController();
  const patience = createPatience(options({ signal: controller.signal }));
  let attempts = 0;
  const ask = (): Promise<never> => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(refused);
    const timeout = new DOMException('The operation timed out', 'TimeoutError');
    controller.abort(timeout);
    return Promise.reject(timeout);
  };
  await t.throwsAsync(patience(ask), { is: refused });
  t.is(attempts, 2);
});

test('Ctrl-C during another attempt is not reported as what went wrong before', async (t) => {
  const controller = new AbortController();
  const interrupted = new Error('interrupted');
  const patience = createPatience(options({ signal: controller.signal }));
  let attempts = 0;
  const ask = (): Promise<never> => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(refused);
    controller.abort(interrupted);
    return Promise.reject(interrupted);
  };
  await t.throwsAsync(patience(ask), { is: interrupted });
});
