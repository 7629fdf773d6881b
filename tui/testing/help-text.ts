/** What the commands say of themselves, for the documentation and for tests: their help, without running anything. */
import type { Command } from 'commander';
import { exampleHeading } from '../program/action.ts';
import { declareProgram } from '../program/declare.ts';

export interface Declared {
  readonly root: Command;
  /** As `--help` prints it. */
  helpOf(this: void, command: Command): string;
}

/** `script`: what the program was called by. */
export function declareForHelp(script = '/usr/bin/tka'): Declared {
  let printed = '';
  const stdout = {
    write(text: string) {
      printed += text;
      return true;
    },
  };
  const root = declareProgram({ script, stdout, stderr: stdout }, { act: () => async () => {}, argv: [] });
  return {
    root,
    helpOf(command) {
      printed = '';
      command.outputHelp();
      return printed;
    },
  };
}

/** The lines of the example that a help ends with. */
export function exampleIn(help: string): readonly string[] {
  const [, after = ''] = help.split(`\n${exampleHeading}\n`);
  return after
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Those below it that its help lists, but `help`. */
export function visibleCommands(command: Command): readonly Command[] {
  const help = command.createHelp();
  return help.visibleCommands(command).filter((one) => one.name() !== 'help');
}

/** `tka config get`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
