import test from 'ava';
import { Interrupted, UserError } from '../../errors.ts';
import { aliceLoggedIn, stagedLogIn, testClock, testRuntime } from '../../testing/login.ts';
import { type LoginRun, startLogin } from './run.ts';

const stageOf = (run: LoginRun, name: string) => run.snapshot().stages.find(({ stage }) => stage === name);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('each stage has its own time, and what it found', async (t) => {
  const { now, pass } = testClock();
  const login = stagedLogIn();
  const run = startLogin(testRuntime({ now }), { flags: {}, logIn: login.logIn });
  t.true(run.snapshot().stages.every(({ state }) => state === 'waiting'));
  await turn();
  t.true(login.options.stepwise);

  login.begin('server');
  pass(300);
  login.done('server', 'prod at http://tka');
  login.begin('identity');
  pass(40);
  t.like(stageOf(run, 'server'), { state: 'done', tookMs: 300, detail: 'prod at http://tka' });
  t.is(stageOf(run, 'identity')?.state, 'running');
  login.done('identity');
  login.succeed();
  t.is(await run.result, aliceLoggedIn);
  t.like(run.snapshot().outcome, { kind: 'logged-in', session: { context: 'tka-prod' } });
  t.is(stageOf(run, 'identity')?.tookMs, 40);
});

test('the time in which a question waits is not the stage’s', async (t) => {
  const { now, pass } = testClock();
  const login = stagedLogIn();
  const run = startLogin(testRuntime({ now }), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('server');
  pass(100);
  const answer = login.interaction?.confirm({ title: 'trust it?' });
  pass(60_000);
  const asked = run.questions.current();
  if (asked?.kind === 'confirm') asked.answer(true);
  t.true(await answer);
  pass(20);
  login.done('server');
  t.is(stageOf(run, 'server')?.tookMs, 120);
  run.stop();
});

test('a failure is that of the stage that ran', async (t) => {
  const { now, pass } = testClock();
  const login = stagedLogIn();
  const run = startLogin(testRuntime({ now }), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('server');
  login.done('server');
  login.begin('grant');
  pass(12);
  const error = new UserError('the policy grants you nothing', [], 3);
  login.fail(error);
  t.is(await t.throwsAsync(run.result), error);
  t.deepEqual(
    run.snapshot().stages.map(({ state }) => state),
    ['done', 'waiting', 'failed', 'waiting', 'waiting', 'waiting', 'waiting'],
  );
  t.like(stageOf(run, 'grant'), { tookMs: 12 });
  t.like(run.snapshot().outcome, { kind: 'failed', error });
});

test('stop aborts the login, whose end is the run’s', async (t) => {
  const login = stagedLogIn();
  const run = startLogin(testRuntime(), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('provisioning');
  run.stop();
  t.true(login.signal.aborted);
  const error = await t.throwsAsync(run.result, { instanceOf: Interrupted });
  t.is(error?.exitCode, 130);
  t.is(stageOf(run, 'provisioning')?.state, 'stopped');
  t.deepEqual(run.snapshot().outcome, { kind: 'stopped' });
});

test('a login that could not be stopped any more has succeeded', async (t) => {
  const login = stagedLogIn({ ignoresAbort: true });
  const run = startLogin(testRuntime(), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('kubeconfig');
  run.stop();
  login.succeed();
  t.is(await run.result, aliceLoggedIn);
  t.is(run.snapshot().outcome?.kind, 'logged-in');
});

test('stopping twice is stopping once, but one that is abandoned does not wait', async (t) => {
  const login = stagedLogIn({ ignoresAbort: true });
  const run = startLogin(testRuntime(), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('sign-in');
  t.false(run.isStopping());
  run.stop();
  run.stop();
  await turn();
  t.true(run.isStopping());
  t.is(run.snapshot().outcome, undefined);
  run.abandon();
  await t.throwsAsync(run.result, { instanceOf: Interrupted });
});

test('a signal to the process stops the login with that signal’s exit code, and what is asked with it', async (t) => {
  const signalled = new AbortController();
  const login = stagedLogIn();
  const run = startLogin(testRuntime({ signal: signalled.signal }), { flags: {}, logIn: login.logIn });
  await turn();
  login.begin('server');
  const answer = login.interaction?.confirm({ title: 'trust it?' });
  signalled.abort(new Interrupted('SIGTERM'));
  await t.throwsAsync(answer ?? Promise.resolve(), { instanceOf: Interrupted });
  const error = await t.throwsAsync(run.result, { instanceOf: Interrupted });
  t.is(error?.exitCode, 143);
  t.is(run.questions.current(), undefined);
});

test('stopped before it began, it does not begin', async (t) => {
  const login = stagedLogIn();
  const run = startLogin(testRuntime({ signal: AbortSignal.abort(new Interrupted('SIGINT')) }), {
    flags: {},
    logIn: login.logIn,
  });
  await t.throwsAsync(run.result, { instanceOf: Interrupted });
  t.throws(() => login.options);
});

test('listeners hear of every change', async (t) => {
  const login = stagedLogIn();
  const run = startLogin(testRuntime(), { flags: {}, logIn: login.logIn });
  let heard = 0;
  const leave = run.subscribe(() => (heard += 1));
  await turn();
  login.begin('server');
  login.warn('the clock is wrong');
  t.is(heard, 2);
  t.deepEqual(run.snapshot().warnings, ['the clock is wrong']);
  leave();
  login.succeed();
  await run.result;
  t.is(heard, 2);
});

test('without questions, the login has no interaction', async (t) => {
  const login = stagedLogIn();
  const run = startLogin(testRuntime(), { flags: {}, logIn: login.logIn, interaction: 'none' });
  await turn();
  t.is(login.interaction, undefined);
  run.stop();
});
