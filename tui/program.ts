/**
 * The commands that people type, with their flags, as commander declares them. Each command's module loads when it runs.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { exitCodes } from './errors.ts';
import type { LoginFlags } from './commands/login.ts';
import type { KubeconfigFlags } from './commands/kubeconfig.ts';
import type { LogoutFlags } from './commands/logout.ts';
import type { StatusFlags } from './commands/status.ts';
import type { Runtime } from './runtime.ts';

/** The exit code; errors of commands pass through. */
export async function runProgram(runtime: Runtime, argv: readonly string[]): Promise<number> {
  const program = declare(runtime);
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(argv, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has said what was wrong; only asking for help is no mistake.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    throw error;
  }
}

function declare(runtime: Runtime): Command {
  const program = new Command('tka')
    .description('Short-lived Kubernetes access for who you are on the tailnet.')
    .configureOutput({
      writeOut: (text) => void runtime.stdout.write(text),
      writeErr: (text) => void runtime.stderr.write(text),
    })
    .showHelpAfterError('Run with --help to see what there is.')
    .exitOverride();

  program
    .command('login')
    .alias('signin')
    .description('open a session and make kubectl use it')
    .addOption(serverOption())
    .option('-r, --role <role>', 'a role that your policy grants (default: its first choice)')
    .option('--period <duration>', 'for how long, at most what your policy grants, for example 90m')
    .addOption(modeOption())
    .addOption(kubeconfigOption())
    .option('--use', 'make the context the current one, even if there is another')
    .option('--inline-token', 'write the token into the kubeconfig, for kubectls that may run no credential plugin')
    .option('--insecure-skip-tls-verify', 'agree where the server asks kubectl to trust any certificate')
    .option('--non-interactive', 'plain lines on stderr, the name of the context on stdout')
    .addOption(outputOption())
    .addOption(timeoutOption(60))
    .option('-q, --quiet', 'no words, only errors and data')
    .action(async (flags: Parsed<LoginFlags>) => (await import('./commands/login.ts')).login(runtime, timed(flags)));

  program
    .command('kubeconfig')
    .description('print a kubeconfig with the token of a session in it')
    .addOption(serverOption())
    .option('--session <name>', 'which session (default: what a login without a wish picks, else the newest)')
    .addOption(modeOption())
    .option('--insecure-skip-tls-verify', 'agree where the server asks kubectl to trust any certificate')
    .addOption(timeoutOption(30))
    .action(async (flags: Parsed<KubeconfigFlags>) =>
      (await import('./commands/kubeconfig.ts')).kubeconfig(runtime, timed(flags)),
    );

  program
    .command('logout')
    .alias('signout')
    .description('end your sessions and remove what this machine has of them')
    .addOption(serverOption("the last login's, "))
    .option('--session <name>', 'only this session')
    .addOption(kubeconfigOption())
    .option('--local', 'ask no server: only remove what this machine has')
    .option('-q, --quiet', 'no words, only errors')
    .action(async (flags: LogoutFlags) => (await import('./commands/logout.ts')).logout(runtime, flags));

  program
    .command('status')
    .description('list your sessions, their contexts and the time that is left')
    .addOption(serverOption("the last login's, "))
    .addOption(kubeconfigOption('the kubeconfig to look into'))
    .addOption(outputOption())
    .addOption(timeoutOption(15))
    .action(async (flags: Parsed<StatusFlags>) => (await import('./commands/status.ts')).status(runtime, timed(flags)));

  // The next two read their own arguments before the parser is loaded (cli.ts); here they have their help.
  program
    .command('credential')
    .description('print the credential of a session for kubectl (a client-go credential plugin)')
    .requiredOption('-s, --server <url>', 'the tka server')
    .requiredOption('--session <name>', 'which session')
    .addOption(modeOption())
    .option('--proxy <url>', 'the way to the server where the environment names no proxy');
  program
    .command('version')
    .description('print the versions of the command and of the server')
    .option('--client', 'only the command: ask no server')
    .addOption(serverOption())
    .addOption(outputOption());

  return program;
}

/** Flags as the parser has them: it names each value after its flag, without the unit. */
type Parsed<T extends { readonly timeoutMs: number }> = Omit<T, 'timeoutMs'> & { readonly timeout: number };

function timed<T extends { readonly timeoutMs: number }>({ timeout, ...flags }: Parsed<T>): T {
  // Parsed<T> is T with one field renamed, which is renamed back here.
  return { ...flags, timeoutMs: timeout } as unknown as T;
}

function serverOption(besides = ''): Option {
  return new Option(
    '-s, --server <url>',
    `the tka server, a host name or URL (default: TKA_SERVER, the configuration file, ${besides}http://tka)`,
  );
}

function kubeconfigOption(what = 'the kubeconfig to change'): Option {
  return new Option('--kubeconfig <file>', `${what} (default: KUBECONFIG, ~/.kube/config)`);
}

function modeOption(): Option {
  return new Option(
    '--mode <mode>',
    'how to reach the cluster (default: as the server has it; this release serves direct)',
  ).choices(['direct', 'proxy']);
}

function outputOption(): Option {
  return new Option('-o, --output <form>', 'data on stdout').choices(['json']);
}

function timeoutOption(seconds: number): Option {
  return new Option('--timeout <duration>', 'give up after so long')
    .default(seconds * 1000, `${seconds}s`)
    .argParser(parseTimeout);
}

/** Not the contract's parser, which would load its schemas before the first request. */
function parseTimeout(text: string): number {
  const match = /^(?:(\d{1,3})m)?(?:(\d{1,5})s)?$/.exec(text);
  const ms = (Number(match?.[1] ?? 0) * 60 + Number(match?.[2] ?? 0)) * 1000;
  if (match === null || ms === 0) throw new InvalidArgumentError('A duration looks like 30s or 2m.');
  return ms;
}
