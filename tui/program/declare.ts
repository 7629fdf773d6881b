/**
 * Every command that people type, with its flags, as commander declares them; the documentation (dev/build-docs.ts) and the
 * completion read the same declaration. Nothing of a command is loaded before it runs.
 */
import { basename } from 'node:path';
import { Command } from 'commander';
import type { Runtime } from '../runtime.ts';
import { example, type Program } from './action.ts';
import { declareClusters } from './clusters.ts';
import { declareDeprecated } from './deprecated-commands.ts';
import { declareMachine } from './machine.ts';
import { globalOptions } from './options.ts';
import { declareSessions } from './sessions.ts';

export function declareProgram(runtime: Pick<Runtime, 'script' | 'stdout' | 'stderr'>, program: Program): Command {
  // kubectl runs its plugin `kubectl-tka` for `kubectl tka`.
  const called = basename(runtime.script) === 'kubectl-tka' ? 'kubectl tka' : 'tka';
  const root = new Command(called)
    .description('Short-lived Kubernetes access for who you are on the tailnet.')
    .usage('[command] [options]')
    .configureOutput({
      writeOut: (text) => void runtime.stdout.write(text),
      writeErr: (text) => void runtime.stderr.write(text),
      // The same text on every terminal, in a pipe, and in the documentation.
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({
      showGlobalOptions: true,
      // Second names are there for who knows them, not to be read by everybody.
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(' '),
      commandUsage: (command) => `${path(command)} ${command.usage()}`,
    })
    .helpOption('-h, --help', 'show help')
    .showHelpAfterError('See "tka --help".')
    .exitOverride();
  for (const option of globalOptions()) root.addOption(option);
  example(root, 'tka login', 'kubectl get pods');

  declareSessions(root, program);
  declareClusters(root, program);
  declareMachine(root, program);
  declareDeprecated(root, program);
  root.commandsGroup('Help:').helpCommand('help [command]', 'show help for tka or a command');
  return root;
}

function path(command: Command): string {
  return command.parent === null ? command.name() : `${path(command.parent)} ${command.name()}`;
}

function argumentTerm(argument: { name(): string; readonly required: boolean; readonly variadic: boolean }): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}
