/**
 * What stands after `--` is the command to run, with its own flags. Without the `--` it is a mistake, which is said as that
 * and not as an unknown flag of tka.
 */
import type { Command } from 'commander';

export function withChildCommand(command: Command): Command {
  return command.argument('[command...]', 'the command to run').allowUnknownOption();
}

/** Leaves by commander's error where anything but flags came before the `--`. `argv` is all that tka was given. */
export function childCommandOf(command: Command, args: readonly string[], argv: readonly string[]): readonly string[] {
  const dashes = argv.indexOf('--');
  const child = dashes === -1 ? [] : argv.slice(dashes + 1);
  if (args.length === child.length) return child;
  const [first = ''] = args;
  return first.startsWith('-')
    ? command.error(`error: unknown option '${first}' (flags of the command to run come after --)`)
    : command.error(`error: put -- before the command to run: tka ${command.name()} -- ${args.join(' ')}`);
}
