import test, { type ExecutionContext } from 'ava';
import { UserError } from '../../errors.ts';
import { type Frames, keys, show } from '../../testing/frames.ts';
import { type StagedLogIn, stagedLogIn, testClock, testRuntime } from '../../testing/login.ts';
import { LoginProgress } from './progress.tsx';
import { type LoginRun, startLogin } from './run.ts';

interface Shown {
  readonly login: StagedLogIn;
  readonly run: LoginRun;
  readonly frames: Frames;
  readonly pass: (ms: number) => void;
}

async function showLogin(
  t: ExecutionContext,
  onEscape?: 'stop',
  manner?: Parameters<typeof stagedLogIn>[0],
): Promise<Shown> {
  const { now, pass } = testClock();
  const login = stagedLogIn(manner);
  const run = startLogin(testRuntime({ now }), { flags: {}, logIn: login.logIn });
  const escape = onEscape === undefined ? {} : { onEscape };
  const frames = show(t, <LoginProgress run={run} now={now} {...escape} />);
  await frames.seen(/○ Write kubeconfig/);
  return { login, run, frames, pass };
}

test('the stages go by, and then the summary stands below them', async (t) => {
  const { login, frames, pass } = await showLogin(t);
  login.begin('server');
  await frames.seen(/[⠋⠙⠹⠸] Find the server/);
  pass(250);
  login.done('server', 'prod at http://tka');
  login.begin('identity');
  await frames.seen(/✓ Find the server +250 ms {2}prod at http:\/\/tka\n[⠋⠙⠹⠸] Identify/);
  login.done('identity', 'alice@example.com');
  login.begin('kubeconfig');
  login.done('kubeconfig');
  login.succeed();
  const frame = await frames.seen(/Logged in/);
  t.regex(frame, /who +alice@example\.com/);
  t.regex(frame, /role +view in dev, test/);
  t.regex(frame, /context +tka-prod in/);
  t.regex(frame, /until +.*for 7h59m/);
  t.notRegex(frame, /○/);
});

test('a failure marks its stage, and says the reason and the remedy', async (t) => {
  const { login, frames } = await showLogin(t);
  login.begin('grant');
  login.fail(new UserError('the policy grants you nothing here', ['Ask for a grant of specht-labs.de/cap/tka.'], 3));
  const frame = await frames.seen(/error: the policy grants you nothing here\n {2}Ask for a grant/);
  t.regex(frame, /✗ Check grants/);
  t.notRegex(frame, /Log in/);
});

test('a bug marks its stage and is reported elsewhere', async (t) => {
  const { login, run, frames } = await showLogin(t);
  login.begin('grant');
  login.fail(new TypeError('x is not a function'));
  await t.throwsAsync(run.result, { instanceOf: TypeError });
  t.notRegex(await frames.seen(/✗ Check grants/), /error|function/);
});

test('warnings are there to be read, each once', async (t) => {
  const { login, frames } = await showLogin(t);
  login.warn('the clock is 5 min ahead');
  login.warn('the clock is 5 min ahead');
  const frame = await frames.seen(/! warning: the clock is 5 min ahead/);
  t.is(frame.split('warning').length, 2);
});

test('consent is asked for within the screen, and answered there', async (t) => {
  const { login, frames } = await showLogin(t);
  login.begin('server');
  const answer = login.interaction?.confirm({ title: 'Log in at http://tka?', details: ['node  nStable1'] });
  await frames.seen(/Log in at http:\/\/tka\?\n {2}node {2}nStable1\n {2}y yes/);
  await frames.press('n');
  t.false(await answer);
  await frames.seen(/^(?!.*node).*$/s);
});

test('where two rules tie, one is chosen within the screen', async (t) => {
  const { login, frames } = await showLogin(t);
  login.begin('grant');
  const chosen = login.interaction?.choose({ title: 'Which role?' }, [{ label: 'edit' }, { label: 'view' }]);
  await frames.seen(/❯ edit[^]*select/);
  await frames.press(keys.down);
  await frames.seen(/❯ view/);
  await frames.press(keys.enter);
  t.is(await chosen, 1);
});

test('Ctrl-C stops the login and marks where, also while it asks', async (t) => {
  for (const asks of [false, true]) {
    const { login, run, frames } = await showLogin(t);
    login.begin('server');
    const answer = asks ? login.interaction?.confirm({ title: 'Log in?' }) : undefined;
    answer?.catch(() => undefined);
    if (asks) await frames.seen(/Log in\?/);
    await frames.press(keys.ctrlC);
    await t.throwsAsync(run.result, { message: 'stopped by SIGINT' });
    t.notRegex(await frames.seen(/✗ Find the server .* stopped/), /Log in\?/);
  }
});

test('a second Ctrl-C does not wait for a login that does not stop', async (t) => {
  const { run, frames } = await showLogin(t, undefined, { ignoresAbort: true });
  await frames.press(keys.ctrlC);
  t.is(run.snapshot().outcome, undefined);
  await frames.press(keys.ctrlC);
  await t.throwsAsync(run.result, { message: 'stopped by SIGINT' });
});

test('Escape stops it only where the screen around wants that, and no question is open', async (t) => {
  const plain = await showLogin(t);
  await plain.frames.press(keys.escape, 'x');
  t.is(plain.run.snapshot().outcome, undefined);

  const { login, run, frames } = await showLogin(t, 'stop');
  const answer = login.interaction?.confirm({ title: 'Log in?' });
  await frames.seen(/Log in\?\n.*y yes/);
  await frames.press(keys.escape);
  t.false(await answer);
  t.is(run.snapshot().outcome, undefined);
  await frames.press(keys.escape);
  await t.throwsAsync(run.result, { message: 'stopped by SIGINT' });
});

test('leaving the screen stops the login', async (t) => {
  const { run, frames } = await showLogin(t);
  frames.unmount();
  await t.throwsAsync(run.result, { message: 'stopped by SIGINT' });
});
