/** The flags that several commands have, each declared once. */
import { Argument, InvalidArgumentError, Option } from 'commander';
import { parsePort, parseTimeoutMs } from '../config/flag-values.ts';
import { usageError } from '../errors.ts';
import { type OutputForm, shells } from '../flags.ts';

/** Recognised before and after the name of the command. */
export function globalOptions(): readonly Option[] {
  return [
    new Option('-s, --server <url>', 'the tka server: host name or URL'),
    new Option('-p, --port <port>', 'its port, if --server is only a host name').argParser(readPort),
    new Option('--cluster <name>', 'a cluster that `tka clusters` lists'),
    new Option('-c, --config <file>', 'the configuration file to use'),
    new Option('--timeout <duration>', 'time limit: 30s, 2m').argParser(readTimeout),
    new Option('--non-interactive', 'no prompts, no interactive output'),
    new Option('-q, --quiet', 'only print data and errors'),
    new Option('-t, --theme <name>', 'colours: auto, dark, light, none, ...'),
    new Option('-V, --version', "print this command's version"),
    // Of the tka that came before; action.ts says what becomes of them.
    new Option('-e, --no-eval', "leave the shell's environment as it is").hideHelp(),
    new Option('-l, --long').hideHelp(),
    new Option('--debug').hideHelp(),
  ];
}

export function outputOption(forms: readonly OutputForm[] = ['json', 'yaml', 'name']): Option {
  return new Option('-o, --output <form>', 'output format').choices(forms);
}

/** Which session to open, and how. */
export function loginRequestOptions(): readonly Option[] {
  return [
    new Option('-r, --role <role>', 'the role to use (default: the one with the highest priority)'),
    new Option('--period <duration>', 'session duration, up to the granted maximum: 8h, 90m'),
    new Option('-n, --namespace <name>', 'the namespace of the context'),
    modeOption(),
    insecureOption(),
  ];
}

export function modeOption(): Option {
  return new Option('--mode <mode>', 'reach the cluster through tka or directly').choices(['proxy', 'direct']);
}

export function insecureOption(): Option {
  return new Option('--insecure-skip-tls-verify', 'accept a server that disables TLS verification (insecure)');
}

export function sessionOption(what: string): Option {
  return new Option('--session <name>', what);
}

export function kubeconfigOption(what = 'the kubeconfig to change'): Option {
  return new Option('--kubeconfig <file>', `${what} (default: KUBECONFIG, ~/.kube/config)`);
}

export function shellArgument(): Argument {
  return new Argument('<shell>', shells.join(', ')).choices(shells).argParser((shell: string) => {
    if (shells.some((known) => known === shell)) return shell;
    throw usageError(`unsupported shell ${JSON.stringify(shell)} (${shells.join(', ')})`);
  });
}

export function parseList(text: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.includes('')) throw new InvalidArgumentError('A list looks like tag:ci,tag:deploy.');
  return items;
}

function readPort(text: string): number {
  const port = parsePort(text);
  if (port === undefined) throw new InvalidArgumentError('A port is a number from 1 to 65535.');
  return port;
}

function readTimeout(text: string): number {
  const ms = parseTimeoutMs(text);
  if (ms === undefined) throw new InvalidArgumentError('A duration looks like 30s or 2m.');
  return ms;
}
