/**
 * `npm run demo`: tka on a real tailnet and a real Kubernetes API, on this machine alone.
 *
 * Shows what a team would see, by running the commands it would run and checking that each ends as it should. On a
 * terminal it then opens a shell as alice. Whatever ends it, nothing is left but what was built.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { styleText } from 'node:util';
import { buildBundles } from './build-bundles.ts';
import { buildEngine } from './build-engine.ts';
import { createProgress } from './stack/progress.ts';
import { startStack } from './stack/stack.ts';
import type { Stack } from './stack/stack.ts';
import { until } from './stack/until.ts';

const alice = 'alice@example.com';
const bob = 'bob@example.com';
const carol = 'carol@example.com';

class DemoError extends Error {
  override readonly name = 'DemoError';
}

const ended = new AbortController();
// While alice's shell has the terminal, Ctrl-C is for what runs in it.
let shellIsOpen = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !shellIsOpen) ended.abort();
  });
}

try {
  await demo();
} catch (error) {
  if (ended.signal.aborted) {
    process.exitCode = 130;
  } else {
    process.stderr.write(`\n${error instanceof Error ? explain(error) : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function demo(): Promise<void> {
  const { signal } = ended;
  const progress = createProgress(process.stderr);
  await buildEngine({ signal, progress: (line) => progress.note(line) });
  await buildBundles();
  await using stack = await startStack({ progress, signal, users: [alice, bob, carol] });

  say('\nA tailnet with three people and a server, and a cluster. The policy of the');
  say('tailnet grants alice cluster-admin for 8 hours, bob view for one hour, and carol');
  say('nothing.');

  heading('alice logs in, and kubectl works');
  await show(stack, alice, ['tka', 'login'], { code: 0 });
  await show(stack, alice, ['kubectl', 'auth', 'whoami'], { code: 0 });
  await show(stack, alice, ['kubectl', 'get', 'namespaces'], { code: 0 });
  await show(stack, alice, ['kubectl', 'get', 'tkasignins', '-n', 'tka-sessions'], { code: 0 });

  heading('bob may look and not touch');
  await show(stack, bob, ['tka', 'login'], { code: 0 });
  await show(stack, bob, ['kubectl', 'get', 'serviceaccounts', '-n', 'default'], { code: 0 });
  await show(stack, bob, ['kubectl', 'create', 'namespace', 'bobs-own'], { code: 1, says: /forbidden/ });

  heading('carol is told why she may not');
  await show(stack, carol, ['tka', 'login'], { code: 3, says: /grants you no role/ });

  heading('bob logs out, and the token he had is worth nothing');
  const copy = join(stack.dir, 'copy-of-bobs-kubeconfig');
  await writeFile(copy, await kubeconfigOf(stack, bob), { mode: 0o600 });
  await show(stack, bob, ['tka', 'logout'], { code: 0 });
  say('\nA copy of his kubeconfig, made before, is refused as soon as the API server');
  say('forgets that it was good, which it does after 10 seconds:');
  const withCopy = ['get', 'namespaces', '--kubeconfig', copy];
  await until(
    async () => /Unauthorized|logged in/.test((await stack.runAs(bob, 'kubectl', withCopy, { signal })).stderr),
    { what: "the API server to refuse bob's old token", timeoutMs: 20_000, everyMs: 500, signal },
  );
  await show(stack, bob, ['kubectl', ...withCopy], { code: 1, says: /Unauthorized|logged in/ });

  if (process.stdin.isTTY && process.stdout.isTTY && process.env['CI'] === undefined) {
    await openShell(stack);
  } else {
    await show(stack, alice, ['tka', 'logout'], { code: 0 });
    say('\nThat was it. On a terminal, the demo opens a shell as alice now.');
  }
}

async function kubeconfigOf(stack: Stack, user: string): Promise<string> {
  const { code, stdout, stderr } = await stack.runAs(user, 'tka', ['kubeconfig'], {
    env: { TKA_SERVER: stack.tka.url },
    signal: ended.signal,
  });
  if (code !== 0) throw new DemoError(stderr);
  return stdout;
}

/** Runs it as the person, shows what they would see, and fails unless it ends as it should. */
async function show(
  stack: Stack,
  user: string,
  [command = '', ...args]: readonly string[],
  expected: { readonly code: number; readonly says?: RegExp },
): Promise<void> {
  echo([command, ...args].join(' '));
  const { code, stdout, stderr } = await stack.runAs(user, command, args, {
    env: { TKA_SERVER: stack.tka.url },
    signal: ended.signal,
  });
  process.stdout.write(indent(stderr + stdout));
  if (code !== expected.code || expected.says?.test(stderr) === false) {
    throw new DemoError(
      `That should have ended with exit code ${expected.code}, not ${code}. The server's log follows.\n${stack.tka.readLog()}`,
    );
  }
}

async function openShell(stack: Stack): Promise<void> {
  heading('Now you are alice');
  say('kubectl and tka are ready: tka status, kubectl get clusterrolebindings, …');
  say(`The server's health and metrics: ${stack.tka.health}/readyz and /metrics`);
  say('Ctrl-D ends the demo, and nothing of it stays.');
  shellIsOpen = true;
  // A start-up file could put another tka or kubectl first on PATH.
  const program = process.env['SHELL'] ?? '/bin/sh';
  const quiet: Readonly<Record<string, readonly string[]>> = { bash: ['--norc'], zsh: ['-f'], fish: ['--no-config'] };
  const shell = spawn(program, quiet[basename(program)] ?? [], {
    stdio: 'inherit',
    cwd: stack.machine(alice).home,
    env: { ...process.env, ...stack.userEnv(alice), TKA_SERVER: stack.tka.url, PS1: 'alice$ ' },
    signal: ended.signal,
  });
  await new Promise<void>((resolve) => {
    shell.once('close', () => resolve());
    shell.once('error', () => resolve());
  });
  shellIsOpen = false;
}

function heading(text: string): void {
  process.stdout.write(`\n${styleText('bold', text)}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function echo(command: string): void {
  process.stdout.write(`\n  ${styleText('cyan', `$ ${command}`)}\n`);
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

/** What went wrong out there, without stacks. */
function explain(error: Error): string {
  return error.cause instanceof Error ? `${error.message}\n  because: ${explain(error.cause)}` : error.message;
}
