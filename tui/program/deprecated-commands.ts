/**
 * The names of the tka that people run today, where they are not second names of a command (program/sessions.ts): they work, and
 * no help shows them. What cannot mean quite the same says so in one line on stderr.
 */
import { type Command, Option } from 'commander';
import { exitCodes, RefusedError, usageError, UserError } from '../errors.ts';
import type { ConfigFlags, GlobalFlags, KubeconfigFlags, OutputFlags, RenewFlags, Shell } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { type Act, lazily, type Program } from './action.ts';
import { kubeconfigOption, outputOption, sessionOption, shellArgument } from './options.ts';

export function declareDeprecated(program: Command, { act }: Program): void {
  declareReauthenticate(program, act);
  declareGet(hidden(program, 'get'), act);
  declareGenerate(hidden(program, 'generate'), act);

  hidden(program, 'set')
    .command('config')
    .description('set a key')
    .argument('<key>')
    .argument('<value>')
    .addOption(new Option('-f, --force').hideHelp())
    .action(
      act<GlobalFlags>(async (runtime, flags, [key = '', value = '']) =>
        (await import('../commands/config.ts')).config(runtime, { ...flags, action: 'set', key, value }),
      ),
    );
}

function hidden(program: Command, name: string): Command {
  return program.command(name, { hidden: true });
}

function declareReauthenticate(program: Command, act: Act): void {
  hidden(program, 'reauthenticate')
    .aliases(['reauth', 'refresh'])
    .description('renew the session, or log in if there is none')
    .addOption(sessionOption('which session'))
    .option('--period <duration>', 'for how long from now')
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(
      act<RenewFlags>(async (runtime, flags) => {
        const { renew } = await import('../commands/renew.ts');
        try {
          return await renew(runtime, flags);
        } catch (error) {
          if (flags.session !== undefined || !hasNoSession(error)) throw error;
        }
        say(runtime, flags, 'No session to renew: logging in.');
        return (await import('../commands/login.ts')).login(runtime, flags);
      }),
    );
}

/** Here or at the server. */
function hasNoSession(error: unknown): boolean {
  if (error instanceof RefusedError) return error.code === 'not_logged_in' || error.status === 404;
  return error instanceof UserError && error.exitCode === exitCodes.denied && error.name === 'NoSessionError';
}

function declareGet(get: Command, act: Act): void {
  get
    .command('login')
    .alias('signin')
    .description('list your sessions')
    .addOption(outputOption())
    .action(act(lazily(async () => (await import('../commands/status.ts')).status)));

  get
    .command('cluster-info')
    .description('show the cluster of a server: address, CA and labels')
    .addOption(outputOption())
    .action(act(lazily(async () => (await import('../commands/cluster-info.ts')).clusterInfo)));

  declareKubeconfig(get, act);

  get
    .command('config')
    .description('print the configuration, or the value of a key')
    .argument('[key]')
    .option('--filename', 'print the path of the file')
    .addOption(outputOption())
    .action(
      act<GlobalFlags & OutputFlags & { readonly filename?: boolean }>(
        async (runtime, { filename, ...flags }, [key]) => {
          const { config } = await import('../commands/config.ts');
          const value: ConfigFlags =
            key === undefined ? { ...flags, action: 'list' } : { ...flags, action: 'get', key };
          if (filename !== true) return config(runtime, value);
          if (flags.quiet !== true) {
            await config(runtime, { ...flags, action: 'path' });
            return config(runtime, value);
          }
          if (key !== undefined)
            throw usageError('--filename and --quiet cannot be combined with a key', ['Leave one out.']);
          return config(runtime, { ...flags, action: 'path' });
        },
      ),
    );
}

function declareGenerate(generate: Command, act: Act): void {
  declareKubeconfig(generate, act);
  generate
    .command('integration')
    .description('print the integration of a shell')
    .addArgument(shellArgument())
    .action(
      // The parser has checked the shell's name.
      act<GlobalFlags>(async (runtime, flags, [shell]) =>
        (await import('../commands/integration.ts')).integration(runtime, { ...flags, shell: shell as Shell }),
      ),
    );
}

function declareKubeconfig(group: Command, act: Act): void {
  group
    .command('kubeconfig')
    .description('print a kubeconfig')
    .addOption(outputOption(['json', 'yaml']))
    .action(
      act<KubeconfigFlags>(async (runtime, flags) => {
        say(runtime, flags, '`tka kubeconfig` only prints it; use `tka login` to configure kubectl.');
        return (await import('../commands/kubeconfig.ts')).kubeconfig(runtime, flags);
      }),
    );
}

function say({ stderr }: Runtime, { quiet }: GlobalFlags, line: string): void {
  if (quiet !== true) stderr.write(`${line}\n`);
}
