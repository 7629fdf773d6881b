/** The commands that open, use and end sessions. */
import { type Command, Option } from 'commander';
import type { ExecFlags, GlobalFlags, LoginFlags, ShellFlags, UseFlags, LoginRequestFlags } from '../flags.ts';
import { example, lazily, type Program } from './action.ts';
import { childCommandOf, withChildCommand } from './child-command.ts';
import {
  insecureOption,
  kubeconfigOption,
  modeOption,
  outputOption,
  parseList,
  sessionOption,
  loginRequestOptions,
} from './options.ts';

export function declareSessions(program: Command, { act, argv }: Program): void {
  program.commandsGroup('Sessions:');
  declareLogin(program, { act, argv });

  example(
    program
      .command('renew')
      .description('extend a session')
      .addOption(sessionOption("session name (default: this shell's, the current context's, the only one)"))
      .option('--period <duration>', 'new duration, from now: 8h, 90m')
      .addOption(kubeconfigOption('the kubeconfig to read'))
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/renew.ts')).renew))),
    'tka renew --period 2h',
  );

  example(
    program
      .command('logout')
      .alias('signout')
      .description('end your sessions')
      .addOption(sessionOption('only this session'))
      .option('--all', 'at every server with sessions in your kubeconfig')
      .option('--local', 'only remove local data; do not contact the server')
      .addOption(kubeconfigOption())
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/logout.ts')).logout))),
    'tka logout',
  );

  example(
    program
      .command('status')
      .description('list your sessions and their remaining time')
      .addOption(sessionOption('only this session'))
      .option('--all', 'at every known server')
      .option('-w, --watch', 'keep running and show changes')
      .addOption(kubeconfigOption('the kubeconfig to read'))
      .addOption(outputOption())
      .action(act(lazily(async () => (await import('../commands/status.ts')).status))),
    'tka status --watch',
  );

  example(
    program
      .command('use')
      .description('switch kubectl to a context of tka')
      .argument('<name>', 'context, session or cluster, as in `tka status`')
      .addOption(kubeconfigOption())
      .addOption(outputOption())
      .action(
        act<GlobalFlags & Omit<UseFlags, 'name'>>(async (runtime, flags, [name = '']) =>
          (await import('../commands/use.ts')).use(runtime, { ...flags, name }),
        ),
      ),
    'tka use tka-prod-edit',
  );

  declareRunning(program, { act, argv });

  example(
    program
      .command('kubeconfig')
      .description('print a kubeconfig that contains the token')
      .addOption(sessionOption("session name (default: the default role's session, else the newest)"))
      .addOption(modeOption())
      .addOption(insecureOption())
      .addOption(outputOption(['json', 'yaml']))
      .action(act(lazily(async () => (await import('../commands/kubeconfig.ts')).kubeconfig))),
    'tka kubeconfig > ci.kubeconfig',
  );
}

function declareLogin(program: Command, { act }: Program): void {
  const login = program
    .command('login')
    .aliases(['signin', 'auth'])
    .description('open a session and configure kubectl');
  for (const option of loginRequestOptions()) login.addOption(option);
  example(
    login
      .option('--context-name <template>', 'context name: {cluster}, {role}, {namespace}, {session}')
      .option('--use', 'make the context the current one')
      .option('--inline-token', 'store the token in the kubeconfig, without a plugin')
      .option('--all', 'at every reachable, trusted cluster')
      .option('--print-kubeconfig', 'print the kubeconfig to stdout; write no file')
      .addOption(kubeconfigOption())
      .addOption(outputOption())
      .addOption(new Option('--shell').hideHelp())
      .action(
        act<LoginFlags & { readonly shell?: boolean }>(async (runtime, { shell, ...flags }) => {
          if (shell !== true) return (await import('../commands/login.ts')).login(runtime, flags);
          if (flags.quiet !== true) runtime.stderr.write('`tka login --shell` is `tka shell` now.\n');
          return (await import('../commands/shell.ts')).shell(runtime, flags);
        }),
      ),
    'tka login --role edit --period 2h',
  );
}

function declareRunning(program: Command, { act, argv }: Program): void {
  const shell = program
    .command('shell')
    .description('start a shell with a session of its own')
    .usage('[options] [-- command [args...]]');
  for (const option of loginRequestOptions()) shell.addOption(option);
  example(
    withChildCommand(shell).action(
      act<ShellFlags>(async (runtime, flags, args) => {
        const command = childCommandOf(shell, args, argv);
        const { shell: run } = await import('../commands/shell.ts');
        return run(runtime, command.length === 0 ? flags : { ...flags, command });
      }),
    ),
    'tka shell --role edit',
  );

  const exec = program
    .command('exec')
    .description('run a command with a session of its own')
    .usage('[options] -- command [args...]');
  for (const option of loginRequestOptions()) exec.addOption(option);
  example(
    withChildCommand(exec)
      .option('--join', 'join the tailnet while the command runs')
      .option('--auth-key-file <file>', 'with --join: file with the auth key (default: TS_AUTHKEY)')
      .addOption(new Option('--tags <list>', 'with --join: tags of the node, tag:ci,tag:deploy').argParser(parseList))
      .option('--hostname <name>', 'with --join: the name of the node')
      .option('--control-url <url>', "with --join: the control server (default: Tailscale's)")
      .action(
        act<GlobalFlags & LoginRequestFlags & Omit<ExecFlags, 'command'>>(async (runtime, flags, args) => {
          const command = childCommandOf(exec, args, argv);
          if (command.length === 0) exec.error('error: no command given: tka exec -- kubectl get pods');
          return (await import('../commands/exec.ts')).exec(runtime, { ...flags, command });
        }),
      ),
    'tka exec --role view -- kubectl get pods -o json',
  );
}
