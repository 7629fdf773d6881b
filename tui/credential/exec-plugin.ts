/**
 * The user entry by which kubectl asks this command for a session's token.
 *
 * kubectl must find the very program that wrote the entry: by its name if that is what PATH leads to, else by the absolute
 * paths of the engine and the script that run now.
 */
import { accessSync, constants, realpathSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Mode } from '../../node/http/contract.ts';
import type { SessionKey } from './cache.ts';
import type { Fields } from '../kubeconfig/entries.ts';
import type { Runtime } from '../runtime.ts';

type Program = Pick<Runtime, 'env' | 'execPath' | 'script'>;

export interface PluginCall extends SessionKey {
  readonly mode: Mode | undefined;
  /** The proxy that led to the server, without user and password: kubectl may run without the variables of the login. */
  readonly proxy: string | undefined;
}

export function execEntry(runtime: Program, { server, session, mode, proxy }: PluginCall): Fields {
  const [command, ...before] = commandLine(runtime);
  return {
    apiVersion: 'client.authentication.k8s.io/v1',
    command,
    args: [
      ...before,
      'credential',
      `--server=${server}`,
      `--session=${session}`,
      ...(mode === undefined ? [] : [`--mode=${mode}`]),
      ...(proxy === undefined ? [] : [`--proxy=${proxy}`]),
    ],
    interactiveMode: 'Never',
    provideClusterInfo: false,
    installHint:
      'This cluster is reached with the tka command, which kubectl did not find. Install it, then run: tka login',
  };
}

function commandLine({ env, execPath, script }: Program): readonly string[] {
  for (const name of new Set([basename(script).replace(/\.[cm]?[jt]s$/, ''), 'tka'])) {
    if (leadsTo(name, script, env['PATH'] ?? '')) return [name];
  }
  return [execPath, script];
}

/** Whether the first program of that name on PATH is the script. */
function leadsTo(name: string, script: string, path: string): boolean {
  for (const directory of path.split(delimiter).filter((entry) => entry !== '')) {
    const candidate = join(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      return realpathSync(candidate) === realpathSync(script);
    } catch {
      // Not in this directory.
    }
  }
  return false;
}
