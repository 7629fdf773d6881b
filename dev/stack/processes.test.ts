/**
 * Against the real supervisor, compiled for the occasion. The parent that is killed is a process of its own, made by
 * `processes.fixture.ts`.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import anyTest from 'ava';
import type { TestFn } from 'ava';
import { PortTakenError } from './ports.ts';
import { Processes } from './processes.ts';
import { goDir } from './tools.ts';
import { GiveUpError, until } from './until.ts';

const test = anyTest as TestFn<{ processes: Processes }>; // the context is made below, before each test
const directory = mkdtempSync(join(tmpdir(), 'tka-processes-'));
const supervise = join(directory, 'supervise');
const fixture = fileURLToPath(new URL('processes.fixture.ts', import.meta.url));

test.before(async () => {
  const env = { ...process.env, CGO_ENABLED: '0' };
  await promisify(execFile)('go', ['build', '-o', supervise, '.'], { cwd: join(goDir, 'supervise'), env });
});
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
test.beforeEach((t) => {
  t.context.processes = new Processes({ dir: mkdtempSync(join(tmpdir(), 'tka-processes-')), supervise });
});
test.afterEach.always((t) => t.context.processes[Symbol.asyncDispose]());

/** A shell that starts a child of its own, says both process IDs and stays. */
const family = { command: 'sh', args: ['-c', 'sleep 300 & echo $$ $!; wait'] };

async function startFamily(processes: Processes): Promise<readonly number[]> {
  const child = await processes.start({ name: 'family', ...family });
  const read = (): readonly number[] => readFileSync(child.log, 'utf8').trim().split(' ').map(Number);
  await child.ready(() => read().length === 2, { timeoutMs: 5000 });
  return read();
}

async function allGone(pids: readonly number[]): Promise<void> {
  await until(() => !pids.some(isAlive), { what: `the end of ${pids.join(', ')}`, timeoutMs: 5000 });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a command gets its input, and its output, error and exit code come back', async (t) => {
  const command = { command: 'sh', args: ['-c', 'cat; echo problem >&2; exit 3'] };
  const result = await t.context.processes.run(command, { input: 'hello' });
  t.deepEqual(result, { code: 3, stdout: 'hello', stderr: 'problem\n' });
});

test('of our environment a command sees only PATH', async (t) => {
  process.env['TKA_TEST_SECRET'] = 'secret';
  const { stdout } = await t.context.processes.run({ command: 'env', args: [], env: { GIVEN: '1' } });
  delete process.env['TKA_TEST_SECRET'];
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0] ?? '')
    .sort((a, b) => a.localeCompare(b));
  t.deepEqual(names, ['GIVEN', 'HOME', 'PATH']);
});

test('aborting a command ends it', async (t) => {
  const controller = new AbortController();
  const running = t.context.processes.run({ command: 'sleep', args: ['300'] }, { signal: controller.signal });
  controller.abort(new Error('enough'));
  await t.throwsAsync(running, { message: 'enough' });
});

test('killing a service takes its children with it', async (t) => {
  const pids = await startFamily(t.context.processes);
  await t.context.processes[Symbol.asyncDispose]();
  await t.notThrowsAsync(allGone(pids));
  t.false(existsSync(t.context.processes.dir));
});

test('a service that is stopped (SIGSTOP) is killed all the same', async (t) => {
  const child = await t.context.processes.start({ name: 'stopped', command: 'sleep', args: ['300'] });
  child.signal('SIGSTOP');
  t.true((await child.stop({ graceMs: 50 })) > 128);
});

test('the exit code says what signal ended a service', async (t) => {
  const child = await t.context.processes.start({ name: 'ended', command: 'sleep', args: ['300'] });
  t.is(await child.stop({ signal: 'SIGTERM' }), 143);
  t.false(child.isRunning);
});

test('waiting for a service that has ended fails at once with what it last said', async (t) => {
  const child = await t.context.processes.start({
    name: 'broken',
    command: 'sh',
    args: ['-c', 'echo no disk; exit 4'],
  });
  const error = await t.throwsAsync(
    child.ready(() => false, { timeoutMs: 60_000 }),
    { instanceOf: GiveUpError },
  );
  t.regex(error.message, /exit code 4: \nno disk/);
});

test('a service that finds its port taken is told apart, so that it can be started on another', async (t) => {
  const script = 'echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1';
  const child = await t.context.processes.start({ name: 'taken', command: 'sh', args: ['-c', script] });
  await t.throwsAsync(
    child.ready(() => false, { timeoutMs: 60_000 }),
    { instanceOf: PortTakenError },
  );
});

/** Makes a file, says so, and takes it away again at the end of its input. */
const makesFile = (file: string) => ({
  command: 'sh',
  args: ['-c', 'touch "$0"; echo made; cat >/dev/null; rm "$0"', file],
});

test('what a program holds for a stack is undone when the stack is, before it resolves', async (t) => {
  const file = join(directory, 'held');
  t.deepEqual(await t.context.processes.hold(makesFile(file)), { line: 'made' });
  t.true(existsSync(file));
  await t.context.processes[Symbol.asyncDispose]();
  t.false(existsSync(file));
});

test('a program that cannot make what it should hold says why', async (t) => {
  const command = { command: 'sh', args: ['-c', 'echo taken >&2; exit 17'] };
  t.deepEqual(await t.context.processes.hold(command), { code: 17, stderr: 'taken\n' });
});

test('a program that does not exist is an error that names it', async (t) => {
  const started = t.context.processes.start({ name: 'nothing', command: '/nowhere/program', args: [] });
  await t.throwsAsync(started, { message: /nowhere\/program/ });
});

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`${signal} of the parent leaves neither processes nor the directory`, async (t) => {
    const parent = spawn(process.execPath, [fixture, supervise], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const { dir, pids } = JSON.parse(line) as { dir: string; pids: readonly number[] };
    t.true(pids.every(isAlive));
    parent.kill(signal);
    await t.notThrowsAsync(allGone(pids));
    await t.notThrowsAsync(until(() => !existsSync(dir), { what: `${dir} to go`, timeoutMs: 5000 }));
  });
}
