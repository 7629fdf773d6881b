/**
 * Reads the arguments and runs the command they name; cli.ts loads it for everything but `credential` and `version`, which
 * read their own.
 */
import { basename } from 'node:path';
import { CommanderError } from 'commander';
import { exitCodes } from '../errors.ts';
import type { HomeFlags } from '../flags.ts';
import { createAct } from './action.ts';
import { declareProgram } from './declare.ts';
import { isGoBinaryName, translateGoArguments } from '../commands/go-binary.ts';
import { isInteractive } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

/** The exit code; errors of commands pass through. */
export async function runProgram(runtime: Runtime, given: readonly string[]): Promise<number> {
  const argv = isGoBinaryName(runtime) ? translateGoArguments(given) : given;
  let exitCode: number = exitCodes.ok;
  const end = (code: number): void => {
    exitCode = code;
  };
  const act = createAct(runtime, end);
  const program = declareProgram(runtime, { act, argv });
  const words = wordsToComplete(runtime, argv);
  if (words !== undefined) {
    await (await import('../completion/answer.ts')).complete(runtime, program, words);
    return exitCode;
  }
  try {
    const { operands, unknown } = program.parseOptions([...argv]);
    const { version, nonInteractive } = program.opts<{ version?: boolean; nonInteractive?: boolean }>();
    if (version === true) {
      await (await import('../commands/version.ts')).version(runtime, ['--client']);
    } else if (operands.length > 0 || unknown.length > 0) {
      const [first, topic] = operands;
      const isHelpOfNone =
        first === 'help' &&
        topic !== undefined &&
        !program.commands.some((one) => [one.name(), ...one.aliases()].includes(topic));
      // As if it had been called: commander reports the unknown command and suggests others.
      await program.parseAsync(isHelpOfNone && topic !== 'help' ? [topic] : argv, { from: 'user' });
      await cleanUpAfter(runtime, operands[0]);
    } else if (isInteractive(runtime, nonInteractive)) {
      const home = act<HomeFlags>(async (one, flags) => (await import('../commands/home.ts')).home(one, flags));
      await home(program);
    } else {
      program.outputHelp();
    }
    return exitCode;
  } catch (error) {
    // Commander has reported the error; only a request for help is not one.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    throw error;
  }
}

/** What a killed shell has left ends with the next command that people run anyway; `shell` and `exec` look for it at their start. */
async function cleanUpAfter(runtime: Runtime, command: string | undefined): Promise<void> {
  if (command !== 'login' && command !== 'status') return;
  await (await import('../shell/cleanup.ts')).cleanUpAfterCrashes(runtime);
}

/** Of `tka complete -- WORDS`, as shells ask it, or of the program that kubectl runs to complete `kubectl tka WORDS`. */
function wordsToComplete({ script }: Runtime, argv: readonly string[]): readonly string[] | undefined {
  if (basename(script) === 'kubectl_complete-tka') return argv;
  return argv[0] === 'complete' ? argv.slice(argv[1] === '--' ? 2 : 1) : undefined;
}
