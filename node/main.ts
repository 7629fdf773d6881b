#!/usr/bin/env node
/**
 * `tka-server`: reads the command line and runs one subcommand. Exit codes: 0 done, 1 it cannot run, 2 usage or configuration.
 *
 * An error that the operator can fix is one line without a stack. The first SIGTERM or SIGINT stops in order, the second at once.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import type { LoadedConfig, Reading } from './config/index.ts';
import {
  ConfigError,
  describeConfig,
  flagSettings,
  readConfig,
  recordingWarnings,
  refuse,
  roleWarnings,
} from './config/index.ts';
import type { SettingKey } from './config/settings.ts';
import { messageOf } from './config/system-error.ts';

const version = process.env.TKA_VERSION ?? 'dev';

// Without a listener, a failed write ends the process with a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader closed the pipe: `tka-server config | head -1`.
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`tka-server: cannot write to standard output (${error.code ?? error.message})\n`);
  process.exit(1);
});
// This one cannot be reported anywhere.
process.stderr.on('error', () => {});

process.exitCode = await main(process.argv);

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command('tka-server')
    .description('Tailscale identity in, short-lived Kubernetes access out')
    .exitOverride()
    .showHelpAfterError('(tka-server --help lists the commands, tka-server serve --help the settings)');
  program
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`tka-server ${version}\n`));
  withSettings(program.command('serve', { isDefault: true }))
    .description('run the server')
    .action(async (flags: Flags, command: Command) => {
      exitCode = await runServe(await checked(read(flags, command), { isServing: true }));
    });
  withSettings(program.command('config'))
    .description('print the settings in force and where each comes from')
    .option('-o, --output <form>', 'text or json', 'text')
    .action(async (flags: Flags, command: Command) =>
      printConfig(await checked(read(flags, command)), flags['output'] === 'json'),
    );
  withSettings(program.command('legacy'))
    .description('list what an earlier tka left in the cluster')
    .option('--remove', 'remove it too')
    .action(async (flags: Flags, command: Command) => {
      exitCode = await runLegacyCommand(loaded(read(flags, command)), flags['remove'] === true);
    });
  withSettings(program.command('rotate-key'))
    .description("make another key for the proxy's tokens: every kubeconfig for the proxy needs a new login")
    .action(async (flags: Flags, command: Command) => {
      await rotateKey(loaded(read(flags, command)));
    });
  for (const command of program.commands) command.exitOverride().allowExcessArguments(false);

  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    // Commander has printed the error, or the requested help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`tka-server: ${messageOf(error)}\n`);
    return error instanceof ConfigError ? 2 : 1;
  }
}

/** What commander makes of the flags: by the name in camel case, `true` for a flag without a value. */
type Flags = Readonly<Record<string, string | boolean | undefined>>;

function withSettings(command: Command): Command {
  command.option('-c, --config <file>', 'configuration file').option('--debug', 'log.level: debug');
  for (const { names, isBoolean, about } of flagSettings()) {
    const [own, ...others] = names;
    const value = isBoolean ? '[true|false]' : '<value>';
    command.addOption(new Option(`${own} ${value}`, about));
    // Names of released servers work, but are not listed in the help.
    const short = others.filter((name) => !name.startsWith('--'));
    const long = others.filter((name) => name.startsWith('--'));
    for (const name of long) command.addOption(new Option(`${[...short, name].join(', ')} ${value}`, about).hideHelp());
  }
  return command;
}

function read(flags: Flags, command: Command): Reading {
  const given: Partial<Record<SettingKey, { readonly name: string; readonly text: string }>> = {};
  for (const { key, names } of flagSettings()) {
    const option = command.options.find(
      (candidate) =>
        candidate.long !== undefined &&
        candidate.long !== null &&
        names.includes(candidate.long) &&
        flags[candidate.attributeName()] !== undefined,
    );
    if (option !== undefined) given[key] = { name: option.long ?? '', text: String(flags[option.attributeName()]) };
  }
  const path = configFile(flags['config']);
  return readConfig({
    env: process.env,
    flags: given,
    isDebug: flags['debug'] === true,
    ...(path === undefined ? {} : { file: { path, text: readText(path) } }),
  });
}

/** For subcommands that neither join a tailnet nor serve: each value is checked alone. */
function loaded({ loaded: config, problems }: Reading): LoadedConfig {
  refuse(problems);
  return config;
}

/** What `serve` needs: the values fit together too. */
async function checked(reading: Reading, options: { readonly isServing?: boolean } = {}): Promise<LoadedConfig> {
  const { checkedConfig } = await import('./config/check.ts');
  return checkedConfig(reading, options);
}

/** The configured file, else the first of the default paths that exists. */
function configFile(named: string | boolean | undefined): string | undefined {
  const { TKA_CONFIG, XDG_CONFIG_HOME, HOME = '/' } = process.env;
  if (typeof named === 'string') return named;
  if (TKA_CONFIG !== undefined && TKA_CONFIG !== '') return TKA_CONFIG;
  return [join(XDG_CONFIG_HOME ?? join(HOME, '.config'), 'tka/config.yaml'), '/etc/tka/config.yaml'].find((path) => {
    try {
      readFileSync(path);
      return true;
    } catch (error) {
      // A file that exists but cannot be read must not be skipped: its settings are intended.
      return (error as NodeJS.ErrnoException).code !== 'ENOENT';
    }
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    throw new ConfigError(`cannot read the configuration file ${path} (${code})`, { cause: error });
  }
}

function printConfig(loaded: LoadedConfig, isJson: boolean): void {
  const lines = describeConfig(loaded);
  for (const warning of [...loaded.warnings, ...roleWarnings(loaded.values), ...recordingWarnings(loaded.values)])
    process.stderr.write(`warning: ${warning}\n`);
  if (isJson) {
    process.stdout.write(
      `${JSON.stringify(Object.fromEntries(lines.map(({ key, value, source }) => [key, { value, source }])), null, 2)}\n`,
    );
    return;
  }
  const width = (of: (line: (typeof lines)[number]) => string) =>
    Math.min(60, Math.max(...lines.map((line) => of(line).length)));
  const keys = width(({ key }) => key);
  const values = width(({ value }) => JSON.stringify(value));
  for (const { key, value, source } of lines) {
    process.stdout.write(`${key.padEnd(keys)}  ${JSON.stringify(value).padEnd(values)}  ${source}\n`);
  }
}

async function runServe(loaded: LoadedConfig): Promise<number> {
  const { createLog } = await import('./observability/log.ts');
  const log = createLog(loaded.values['log.level']);
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) {
      log.warn({ signal }, 'stopping at once');
      process.exit(1);
    }
    log.info({ signal }, 'stopping in order; a second signal stops at once');
    stop.abort(new Error(`stopped by ${signal}`));
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const onBug = (error: unknown): void => {
    log.fatal({ err: error }, 'a bug in tka-server');
    process.exit(1);
  };
  process.on('uncaughtException', onBug).on('unhandledRejection', onBug);
  try {
    // Tens of megabytes that the other subcommands do not load; signals are handled by now.
    const { serve } = await import('./serve.ts');
    await serve({ loaded, version, log, stop: stop.signal });
    return 0;
  } catch (error) {
    log.debug({ err: error }, 'why the server ends');
    log.fatal({ error: error instanceof Error ? error.name : 'Error' }, messageOf(error));
    return error instanceof ConfigError ? 2 : 1;
  }
}

async function rotateKey({ values }: LoadedConfig): Promise<void> {
  const name = values['api.serverKeySecret'];
  if (name !== '') {
    const [{ createLog }, { rotateKeyInCluster }] = await Promise.all([
      import('./observability/log.ts'),
      import('./persistence/rotate-key.ts'),
    ]);
    const secret = await rotateKeyInCluster(values, { log: createLog('error'), version });
    process.stdout.write(`${secret} holds another key now; servers that run have it within seconds\n`);
    return;
  }
  const { keyPath, rotateServerKey } = await import('./persistence/server-key.ts');
  const stateDir = values['tailscale.stateDir'];
  rotateServerKey(stateDir);
  process.stdout.write(`${keyPath(stateDir)} is another key now; a server that runs has it within a second\n`);
}

async function runLegacyCommand({ values }: LoadedConfig, isRemoving: boolean): Promise<number> {
  const [{ createLog }, { runLegacy }] = await Promise.all([
    import('./observability/log.ts'),
    import('./legacy/command.ts'),
  ]);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('stopped')));
  return runLegacy({
    config: values,
    version,
    isRemoving,
    log: createLog('error'),
    write: (line) => process.stdout.write(`${line}\n`),
    stop: stop.signal,
  });
}
