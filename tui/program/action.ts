/**
 * From what commander parsed to a command's own function: its flags are those of the command and the root in one object, as
 * flags.ts has them, and what it resolves to is the exit code.
 */
import type { Command } from 'commander';
import type { GlobalFlags } from '../flags.ts';
import { createWords } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { quietSetting } from '../config/settings.ts';

/** `args` are the operands, in order. */
export type Perform<T> = (runtime: Runtime, flags: T, args: readonly string[]) => Promise<number | void>;

/** Makes commander's action handler of a command's function. */
export type Act = <T extends GlobalFlags>(perform: Perform<T>) => (...received: unknown[]) => Promise<void>;

export interface Program {
  readonly act: Act;
  /** As they were given, for what the parser does not tell: whether there was a `--`. */
  readonly argv: readonly string[];
}

/** `end` hears the exit code of the command that ran. */
export function createAct(runtime: Runtime, end: (exitCode: number) => void): Act {
  return (perform) =>
    async (...received) => {
      // Commander hands over the command last.
      const command = received.at(-1) as Command;
      const { flags: given, leavesShell, notes } = readFlags(command);
      const isQuiet = given.quiet ?? (await quietSetting(runtime.env, given.config));
      const flags = isQuiet ? { ...given, quiet: true } : given;
      const words = createWords(runtime, flags.quiet === true);
      for (const note of notes) words.say(note);
      // What the parser declares (options.ts) and what flags.ts says are the same by agreement, which declare.test.ts checks.
      const code = await perform(leavesShell ? apart(runtime) : runtime, flags as never, command.args);
      end(code ?? 0);
    };
}

/** A command's function, loaded when the command runs. */
export function lazily<T>(load: () => Promise<(runtime: Runtime, flags: T) => Promise<number | void>>): Perform<T> {
  return async (runtime, flags) => (await load())(runtime, flags);
}

export interface ReadFlags {
  /** Those of the command and of the root. */
  readonly flags: GlobalFlags;
  /** The shell that runs this, by its integration, keeps its environment. */
  readonly leavesShell: boolean;
  /** What given deprecated flags no longer do. */
  readonly notes: readonly string[];
}

export function readFlags(command: Command): ReadFlags {
  const { eval: touchesShell, long, debug, timeout, ...flags } = command.optsWithGlobals<Parsed>();
  return {
    flags: timeout === undefined ? flags : { ...flags, timeoutMs: timeout },
    leavesShell: touchesShell === false,
    notes: [
      ...(long === true ? ['--long has no effect: use -o yaml to see everything.'] : []),
      ...(debug === true ? ['--debug has no effect: set TKA_DEBUG=1 to see the details of a bug.'] : []),
    ],
  };
}

/** What `--help` and the documentation show. */
export function example(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', ({ command: shown }) => {
    const program = programName(shown);
    const renamed = lines.map(
      (line) => `  ${program === 'tka' ? line : line.replaceAll(/\btka (?=\w)/g, `${program} `)}`,
    );
    return ['', exampleHeading, ...renamed].join('\n');
  });
}

export const exampleHeading = 'Example:';

interface Parsed extends GlobalFlags {
  readonly timeout?: number;
  readonly eval?: boolean;
  readonly long?: boolean;
  readonly debug?: boolean;
}

function programName(command: Command): string {
  return command.parent === null ? command.name() : programName(command.parent);
}

function apart(runtime: Runtime): Runtime {
  // Not a copy: the streams are made when they are first read.
  const env = { ...runtime.env, TKA_ENV_FILE: undefined };
  return Object.create(runtime, { env: { value: env, enumerable: true } }) as Runtime;
}
