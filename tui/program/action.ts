/**
 * From what commander parsed to a command's own function: its flags are those of the command and the root in one object, as
 * flags.ts has them, and what it resolves to is the exit code.
 */
import type { Command } from 'commander';
import type { GlobalFlags } from '../flags.ts';
import { createWords } from '../output.ts';
import type { Runtime } from '../runtime.ts';

/** `args` are the operands, in order. */
export type Perform<T> = (runtime: Runtime, flags: T, args: readonly string[]) => Promise<number | void>;

/** Makes commander's action handler of a command's function. */
export type Act = <T extends GlobalFlags>(perform: Perform<T>) => (...received: unknown[]) => Promise<void>;

export interface Program {
  readonly act: Act;
  /** As they were given, for what the parser does not tell: whether there was a `--`. */
  readonly argv: readonly string[];
}

export function createAct(runtime: Runtime, end: (exitCode: number) => void): Act {
  return (perform) =>
    async (...received) => {
      // Commander hands over the command last.
      const command = received.at(-1) as Command;
      const { eval: touchesShell, long, debug, timeout, ...flags } = command.optsWithGlobals<Parsed>();
      const words = createWords(runtime, flags.quiet === true);
      if (long === true) words.say('--long does nothing now: -o yaml shows everything.');
      if (debug === true) words.say('--debug does nothing now: TKA_DEBUG=1 shows the details of a bug.');
      const timed = timeout === undefined ? flags : { ...flags, timeoutMs: timeout };
      // What the parser declares (options.ts) and what flags.ts says are the same by agreement, which program.test.ts checks.
      const code = await perform(touchesShell === false ? apart(runtime) : runtime, timed as never, command.args);
      end(code ?? 0);
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

/** --no-eval: the shell that runs this, by its integration, keeps its environment. */
function apart(runtime: Runtime): Runtime {
  // Not a copy: the streams are made when they are first read.
  const env = { ...runtime.env, TKA_ENV_FILE: undefined };
  return Object.create(runtime, { env: { value: env, enumerable: true } }) as Runtime;
}
