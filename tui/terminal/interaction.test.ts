import { PassThrough } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { Interrupted } from '../errors.ts';
import { type Interaction, plainInteraction } from './interaction.ts';
import type { Runtime, Terminal } from '../runtime.ts';
import { createTestRuntime } from '../testing/tailscaled.ts';

interface Person {
  readonly runtime: Runtime;
  readonly stdin: PassThrough;
  readonly stop: AbortController;
  /** What is on the screen. */
  seen(): string;
}

function terminal(
  t: ExecutionContext,
  env: Record<string, string> = {},
  isTTY = { stdin: true, stderr: true },
): Person {
  const plain = createTestRuntime(t, { env });
  const stdin = Object.assign(new PassThrough(), { isTTY: isTTY.stdin });
  const stop = new AbortController();
  const runtime = {
    ...plain,
    stderr: { ...plain.stderr, isTTY: isTTY.stderr },
    // As far as questions use a terminal.
    terminal: () => ({ stdin }) as unknown as Terminal,
    signal: stop.signal,
  };
  return { runtime, stdin, stop, seen: () => plain.err.text };
}

function interactionOf({ runtime }: Person): Interaction {
  const interaction = plainInteraction(runtime, {});
  if (interaction === undefined) throw new Error('no terminal');
  return interaction;
}

const question = { title: 'Trust it?', details: ['It is new.'] };
const choices = [{ label: 'prod', hint: 'http://tka' }, { label: 'development' }];

for (const [typed, expected] of [
  ['y\n', true],
  ['YES\n', true],
  [' yes \n', true],
  ['n\n', false],
  ['\n', false],
  ['yesterday\n', false],
  ['y', true],
] as const) {
  test(`${JSON.stringify(typed)} is ${expected ? 'yes' : 'no'}`, async (t) => {
    const person = terminal(t);
    const answer = interactionOf(person).confirm(question);
    person.stdin.end(typed);
    t.is(await answer, expected);
    t.is(person.seen(), 'It is new.\nTrust it? [y/N] ');
  });
}

test('the end of the input is no', async (t) => {
  const person = terminal(t);
  const answer = interactionOf(person).confirm(question);
  person.stdin.end();
  t.false(await answer);
});

test('a choice is asked for until it is one', async (t) => {
  const person = terminal(t);
  const answer = interactionOf(person).choose({ title: 'Which?' }, choices);
  person.stdin.write('7\n');
  for (let turn = 0; turn < 1000 && !person.seen().includes('Enter a number'); turn += 1) {
    await new Promise(setImmediate);
  }
  t.regex(person.seen(), /Enter a number from 1 to 2, or nothing to cancel\./);
  person.stdin.write('2\n');
  t.is(await answer, 1);
  t.true(person.seen().startsWith('  1  prod         http://tka\n  2  development\nWhich? [1-2] '));
});

for (const typed of ['\n', '']) {
  test(`${JSON.stringify(typed)} chooses nothing`, async (t) => {
    const person = terminal(t);
    const answer = interactionOf(person).choose({ title: 'Which?' }, choices);
    person.stdin.end(typed);
    t.is(await answer, undefined);
  });
}

test('Ctrl-C is no answer: it ends the question with the signal', async (t) => {
  const person = terminal(t);
  const answer = interactionOf(person).confirm(question);
  person.stop.abort(new Interrupted('SIGINT'));
  t.is((await t.throwsAsync(answer, { instanceOf: Interrupted }))?.exitCode, 130);
  t.is(person.stdin.listenerCount('data'), 0);
});

for (const [what, env, isTTY, flags] of [
  ['in CI', { CI: 'true' }, {}, {}],
  ['with --non-interactive', {}, {}, { nonInteractive: true }],
  ['where stdin is no terminal', {}, { stdin: false }, {}],
  ['where stderr is no terminal', {}, { stderr: false }, {}],
] as const) {
  test(`${what} no question is asked`, (t) => {
    const { runtime } = terminal(t, env, { stdin: true, stderr: true, ...isTTY });
    t.is(plainInteraction(runtime, flags), undefined);
  });
}

for (const CI of ['', 'false']) {
  test(`CI=${CI} is no CI`, (t) => {
    t.not(plainInteraction(terminal(t, { CI }).runtime, {}), undefined);
  });
}
