#!/usr/bin/env node
/**
 * The `tka` command: argv → command → exit code. The only file of the command that touches the process.
 *
 * Commands load on demand. `credential` and `version` read their own arguments, because kubectl runs the first at each of its
 * invocations and the parser costs more than both; all others are declared in program/declare.ts.
 */
import module from 'node:module';
import { basename, dirname, join } from 'node:path';
import { cacheDirectory, isOurs } from './files/directories.ts';
import { Interrupted, Shown, UserError } from './errors.ts';
import { makeDirectories } from './files/make-directory.ts';
import { type JobControl, type Runtime, type StopSignal, stopSignals } from './runtime.ts';

const quick = {
  credential: async (runtime: Runtime, args: readonly string[]) =>
    (await import('./commands/credential.ts')).credential(runtime, args),
  version: async (runtime: Runtime, args: readonly string[]) =>
    (await import('./commands/version.ts')).version(runtime, args),
};

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 20)) {
  process.stderr.write(`error: tka needs Node 22.20 or newer, this is ${process.versions.node}\n`);
  process.exit(1);
}

const stop = new AbortController();
let holder: ((signal: StopSignal) => void) | undefined;
for (const signal of stopSignals) {
  process.on(signal, () => {
    if (holder === undefined) stop.abort(new Interrupted(signal));
    else holder(signal);
  });
}

const suspenders = new Set<() => void>();
const jobControl: JobControl = {
  suspend() {
    // Only a process without a listener is stopped.
    for (const listener of suspenders) process.off('SIGTSTP', listener);
    process.kill(0, 'SIGTSTP');
    for (const listener of suspenders) process.on('SIGTSTP', listener);
  },
  onSuspend(listener) {
    suspenders.add(listener);
    process.on('SIGTSTP', listener);
    return () => {
      suspenders.delete(listener);
      process.off('SIGTSTP', listener);
    };
  },
};

const runtime: Runtime = {
  ...(process.platform === 'win32' ? {} : { jobControl }),
  env: process.env,
  // The streams are made when first touched, which costs a few milliseconds each.
  get stdout() {
    return guarded(process.stdout, 'stdout');
  },
  get stderr() {
    return guarded(process.stderr, 'stderr');
  },
  terminal: () => ({ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr }),
  platform: process.platform,
  pid: process.pid,
  execPath: process.execPath,
  script: process.argv[1] ?? '',
  now: () => new Date(),
  signal: stop.signal,
  holdSignals(listener) {
    const outer = holder;
    holder = listener;
    return () => void (holder = outer);
  },
};
const isCompletion = basename(runtime.script) === 'kubectl_complete-tka' || process.argv[2] === 'complete';
process.exitCode = await main(runtime, process.argv.slice(2));
// Who pressed Tab waits for no name server that does not answer.
if (isCompletion) process.exit();

async function main(runtime: Runtime, argv: readonly string[]): Promise<number> {
  try {
    const [name, ...args] = argv;
    const isHelp = args.some((argument) => argument === '--help' || argument === '-h');
    if ((name === 'credential' || name === 'version') && !isHelp && !isCompletion) {
      await quick[name](runtime, args);
      return 0;
    }
    if (name === '--version' || name === '-V') {
      await quick.version(runtime, ['--client']);
      return 0;
    }
    // Saves some 10 ms of a login. In the user's own directory, because what lies there is run as code.
    keepCompiled(join(cacheDirectory(runtime.env), 'compiled'));
    if (argv.length === 0 && (await import('./terminal/output.ts')).isInteractive(runtime, undefined)) {
      // The parser has nothing to read here, and would be time until the first frame.
      return await (await import('./commands/home.ts')).home(runtime, {});
    }
    const { runProgram } = await import('./program/program.ts');
    return await runProgram(runtime, argv);
  } catch (error) {
    return explain(runtime, error);
  }
}

function keepCompiled(directory: string): void {
  try {
    // Node would make it for everybody to look into.
    makeDirectories(directory);
    if (!isOurs(dirname(directory)) || !isOurs(directory)) return;
    module.enableCompileCache(directory);
  } catch {
    // Only slower.
  }
}

/**
 * A standard output that fails ends the process with one line and exit code 1; a reader that has left (`tka status | head -1`)
 * has seen enough, which is no failure. A standard error that fails stops nothing: there is no place left to report it.
 */
function guarded<T extends NodeJS.WriteStream>(stream: T, name: 'stdout' | 'stderr'): T {
  if (stream.listenerCount('error') > 0) return stream;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The terminal is gone.
    if (error.code === 'EIO') process.exit();
    if (name === 'stderr') return;
    if (error.code === 'EPIPE') process.exit();
    guarded(process.stderr, 'stderr').write(
      `error: cannot write to standard output (${error.code ?? error.message})\n`,
    );
    process.exit(1);
  });
  return stream;
}

async function explain({ signal, stderr, env }: Runtime, error: unknown): Promise<number> {
  if (signal.reason instanceof Interrupted) return signal.reason.exitCode;
  // Ctrl-C is a key on a screen, and no signal.
  if (error instanceof Interrupted || error instanceof Shown) return error.exitCode;
  const { renderError } = await import('./terminal/output.ts');
  const { explainSystemError } = await import('./files/system-error.ts');
  const told = error instanceof UserError ? error : explainSystemError(error);
  if (told !== undefined) {
    stderr.write(renderError(told.message, told.advice, stderr));
    return told.exitCode;
  }
  if (env['TKA_DEBUG'] === '1') {
    const { inspect } = await import('node:util');
    stderr.write(`${inspect(error)}\n`);
  }
  stderr.write(renderError('this is a bug in tka: please report it, with what TKA_DEBUG=1 shows', [], stderr));
  return 1;
}
