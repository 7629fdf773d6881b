/**
 * The keys of the configuration file that the command knows: what they mean, what holds without them, and which values they
 * take. `tka config` shows and checks by it.
 */
import { parsePort } from './flag-values.ts';
import { parseServer } from './server-url.ts';
import { levenshtein } from './levenshtein.ts';
import { usageError } from '../errors.ts';
import { defaultDiscovery } from './types.ts';

export interface Setting {
  readonly key: string;
  readonly meaning: string;
  /** What holds where it is not set, in words or as a value. */
  readonly default: string;
  /** The value for the file; throws a usage error for an invalid text. */
  readonly parse: (text: string) => SettingValue;
}

export type SettingValue = string | number | boolean | readonly string[];

export const settingsTable: readonly Setting[] = [
  setting('server', 'the tka server, a host name or URL', 'the one on the tailnet', server),
  setting('port', 'the port of the server, if `server` has none', '80', port),
  setting('servers', 'more servers for `tka clusters`, separated by commas', 'none', list(server)),
  setting('mode', 'how to reach clusters', 'proxy where it is offered', oneOf('direct', 'proxy')),
  setting('contextName', 'the name of new contexts', 'tka-{cluster}', template),
  setting(
    'theme',
    'the colours of screens',
    'auto',
    oneOf('auto', 'dark', 'light', 'none', 'ascii', 'dracula', 'tokyo-night'),
  ),
  setting('discovery', 'search the tailnet for servers', 'true', flag),
  setting('discovery.tags', 'tags of machines to query, as patterns', defaultDiscovery.tags.join(','), list(any)),
  setting('discovery.names', 'names of machines to query, as patterns', defaultDiscovery.names.join(','), list(any)),
  setting('tailscale.socket', 'socket of the local tailscaled', "the platform's usual place", path),
  setting('tailscale.hostname', "the server's host name, if there is no `server`", 'tka', any),
  setting('tailscale.port', 'its port', '80', port),
  setting('tailscale.tailnet', 'its domain', 'none', any),
  setting('tailscale.controlUrl', 'the control server of `tka exec --join`', "Tailscale's own", any),
  setting('output.theme', 'as theme, which takes precedence', 'auto', any),
  setting('output.long', 'deprecated; has no effect', 'false', flag),
  setting('output.quiet', 'only print data and errors', 'false', flag),
];

/** Throws a usage error that names the nearest key. */
export function settingOf(key: string): Setting {
  const found = settingsTable.find((one) => one.key === key);
  if (found !== undefined) return found;
  const byDistance = settingsTable
    .map((one) => ({ key: one.key, steps: levenshtein(key.toLowerCase(), one.key.toLowerCase()) }))
    .toSorted((a, b) => a.steps - b.steps);
  const [nearest] = byDistance;
  const hint = nearest !== undefined && nearest.steps <= 3 ? [`Did you mean ${nearest.key}?`] : [];
  throw usageError(`unknown setting ${JSON.stringify(key)}`, [...hint, 'List all keys: tka config list']);
}

type Check = (text: string, key: string) => SettingValue;

function setting(key: string, meaning: string, fallback: string, check: Check): Setting {
  return { key, meaning, default: fallback, parse: (text) => check(text.trim(), key) };
}

function any(text: string, key: string): string {
  if (text === '') throw usageError(`${key} is empty: to remove it, tka config unset ${key}`);
  return text;
}

function server(text: string, key: string): string {
  parseServer(text, key);
  return text;
}

function path(text: string, key: string): string {
  if (/^(\/|[A-Za-z]:[\\/]|\\\\)/.test(text)) return text;
  throw usageError(`${key} is an absolute path, not ${JSON.stringify(text)}`);
}

function port(text: string, key: string): number {
  const number = parsePort(text);
  if (number !== undefined) return number;
  throw usageError(`${key} is a number from 1 to 65535, not ${JSON.stringify(text)}`);
}

function flag(text: string, key: string): boolean {
  if (/^(true|yes|on)$/i.test(text)) return true;
  if (/^(false|no|off)$/i.test(text)) return false;
  throw usageError(`${key} is true or false, not ${JSON.stringify(text)}`);
}

function oneOf(...choices: readonly string[]): Check {
  return (text, key) => {
    if (choices.includes(text)) return text;
    throw usageError(`${key} is one of ${choices.join(', ')}, not ${JSON.stringify(text)}`);
  };
}

function list(check: (text: string, key: string) => string): Check {
  return (text, key) => text.split(',').map((item) => check(item.trim(), key));
}

function template(text: string, key: string): string {
  const unknown = text.replaceAll(/\{(cluster|role|namespace|session)\}/g, '');
  if (text !== '' && /^[A-Za-z0-9@:._/-]*$/.test(unknown)) return text;
  throw usageError(`${key} has letters, digits and -._@:/ in it, and {cluster}, {role}, {namespace} or {session}`);
}
