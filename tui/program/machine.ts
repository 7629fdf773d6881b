/** The commands about this machine: its configuration, its shells, its kubectl. */
import { type Command, Option } from 'commander';
import type { ConfigFlags, GlobalFlags, OutputFlags, OutputForm, Shell } from '../flags.ts';
import { type Act, example, lazily, type Program } from './action.ts';
import { kubeconfigOption, modeOption, outputOption, sessionOption, shellArgument } from './options.ts';

export function declareMachine(program: Command, { act }: Program): void {
  program.commandsGroup('This machine:');
  declareConfig(program, act);

  example(
    program
      .command('doctor')
      .description('check this machine and its server for problems')
      .addOption(kubeconfigOption('the kubeconfig to read'))
      .addOption(outputOption(['json', 'yaml']))
      .action(act(lazily(async () => (await import('../commands/doctor.ts')).doctor))),
    'tka doctor',
  );

  // The parser has checked the shell's name.
  example(
    program
      .command('integration')
      .description('shell integration: KUBECONFIG and prompt')
      .addArgument(shellArgument())
      .action(
        act<GlobalFlags>(async (runtime, flags, [shell]) =>
          (await import('../commands/integration.ts')).integration(runtime, { ...flags, shell: shell as Shell }),
        ),
      ),
    'eval "$(tka integration bash)"',
  );

  example(
    program
      .command('completion')
      .description('print the completion script of a shell')
      .addArgument(shellArgument())
      .action(
        act<GlobalFlags>(async (runtime, flags, [shell]) =>
          (await import('../commands/completion.ts')).completion(runtime, { ...flags, shell: shell as Shell }),
        ),
      ),
    'source <(tka completion zsh)',
  );

  declareQuick(program, act);
}

function declareConfig(program: Command, act: Act): void {
  const run = (action: ConfigFlags['action']): ReturnType<Act> =>
    act<GlobalFlags & OutputFlags>(async (runtime, flags, [key, value]) => {
      const { config } = await import('../commands/config.ts');
      return config(runtime, {
        ...flags,
        action,
        ...(key === undefined ? {} : { key }),
        ...(value === undefined ? {} : { value }),
      });
    });

  const config = program
    .command('config')
    .description('read and change the configuration file')
    .usage('get | set | unset | list | path')
    .argument('[key]')
    .argument('[value]')
    .addOption(new Option('-f, --force').hideHelp())
    .addOption(outputOption())
    .action(
      // `config`, `config KEY` and `config KEY VALUE`, as they were; with none of them, the list.
      act<GlobalFlags & OutputFlags>(async (runtime, flags, [key, value]) => {
        const { config } = await import('../commands/config.ts');
        if (key === undefined) return config(runtime, { ...flags, action: 'list' });
        if (value === undefined) return config(runtime, { ...flags, action: 'get', key });
        return config(runtime, { ...flags, action: 'set', key, value });
      }),
    );
  example(config, 'tka config set server https://tka.example.ts.net');

  example(
    config.command('get').argument('<key>').description('print the value of a key').action(run('get')),
    'tka config get server',
  );
  example(
    config.command('set').argument('<key>').argument('<value>').description('set a key').action(run('set')),
    "tka config set contextName '{cluster}-{role}'",
  );
  example(
    config.command('unset').argument('<key>').description('remove a key').action(run('unset')),
    'tka config unset theme',
  );
  example(
    config.command('list').description('list all keys with their values').action(run('list')),
    'tka config list -o yaml',
  );
  example(config.command('path').description('print the path of the file').action(run('path')), 'tka config path');
}

/** These two read their own arguments, before any parser is loaded (cli.ts); here is their help, and their way past other flags. */
function declareQuick(program: Command, act: Act): void {
  type VersionFlags = GlobalFlags & { readonly client?: boolean; readonly output?: OutputForm };
  example(
    program
      .command('version')
      .description('print the versions of the command and the server')
      .option('--client', "only the command's version")
      .addOption(outputOption())
      .action(
        act<VersionFlags>(async (runtime, { client, output, server, port, cluster, config, timeoutMs }) => {
          const { version } = await import('../commands/version.ts');
          const timeout = timeoutMs === undefined ? undefined : `${timeoutMs / 1000}s`;
          const flags = written({ output, server, port: port?.toString(), cluster, config, timeout });
          return version(runtime, client === true ? ['--client', ...flags] : flags);
        }),
      ),
    'tka version --client',
  );

  type CredentialFlags = GlobalFlags & { readonly session?: string; readonly mode?: string; readonly proxy?: string };
  example(
    program
      .command('credential')
      .description('print the credential of a session; run by kubectl')
      .addOption(sessionOption('session name (required, with --server)'))
      .addOption(modeOption())
      .option('--proxy <url>', 'proxy to the server if the environment names none')
      .action(
        act<CredentialFlags>(async (runtime, { server, session, mode, proxy }) => {
          const { credential } = await import('../commands/credential.ts');
          return credential(runtime, written({ server, session, mode, proxy }));
        }),
      ),
    'tka credential --server=https://tka.example.ts.net --session=alice-0123456789',
  );
}

function written(flags: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
}
