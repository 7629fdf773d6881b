/**
 * The server's settings: flags over environment over file over defaults, each value checked and its source recorded.
 *
 * Strict: an unknown key, a value of the wrong kind or a repeated key is refused with the key, the place and the remedy; all problems
 * are found in one pass. A key of released configuration files that this server does not use is a warning. Whether the values fit
 * together is checked in check.ts.
 */
import { parseDocument } from 'yaml';
import type { Setting } from './setting-kinds.ts';
import type { Config, SettingKey } from './settings.ts';
import { environmentNames, fallbackOf, flagNames, settingKeys, settings, unusedGroups } from './settings.ts';

export interface LoadedConfig {
  /** A refused setting has its default. */
  readonly values: Config;
  /** For each key a description of its value's source. */
  readonly sources: Readonly<Record<SettingKey, string>>;
  readonly warnings: readonly string[];
}

export interface ConfigInput {
  readonly file?: { readonly path: string; readonly text: string };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By setting: as written, and under which name. */
  readonly flags?: Partial<Readonly<Record<SettingKey, { readonly name: string; readonly text: string }>>>;
  /** --debug. */
  readonly isDebug?: boolean;
}

/** The operator must change the configuration: exit code 2, message alone. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** One thing that the operator must change: the settings it is about, and a sentence with the remedy. */
export interface Problem {
  readonly keys: readonly SettingKey[];
  readonly message: string;
}

export interface Reading {
  readonly loaded: LoadedConfig;
  readonly problems: readonly Problem[];
}

/** Throws a ConfigError that lists all problems, if there are any. */
export function refuse(problems: readonly Problem[]): void {
  const messages = problems.map(({ message }) => message);
  if (messages.length === 0) return;
  if (messages.length === 1) throw new ConfigError(messages[0] ?? '');
  throw new ConfigError(
    [`the configuration has ${messages.length} problems:`, ...messages.map((message) => `  - ${message}`)].join('\n'),
  );
}

/** `health.port (environment TKA_HEALTH_PORT)`. */
export function sourced({ sources }: Pick<LoadedConfig, 'sources'>, key: SettingKey): string {
  return `${key} (${sources[key]})`;
}

/** `--health-port, TKA_HEALTH_PORT or health.port in the file`. */
export function waysToSet(key: SettingKey): string {
  return [...flagNames(key).slice(0, 1), ...environmentNames(key).slice(0, 1)].join(', ') + ` or ${key} in the file`;
}

interface Sourced {
  readonly value: unknown;
  readonly source: string;
}

/** Throws a ConfigError. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const { loaded, problems } = readConfig(input);
  refuse(problems);
  return loaded;
}

export function readConfig(input: ConfigInput): Reading {
  const warnings: string[] = [];
  const problems: Problem[] = [];
  const inFile =
    input.file === undefined ? new Map<SettingKey, Sourced>() : readFile(input.file, { warnings, problems });

  const values: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const key of settingKeys) {
    const fallback = fallbackOf(key, input.env);
    const found = fromFlags(key, input) ??
      debugFlag(key, input) ??
      fromEnvironment(key, input, warnings) ??
      inFile.get(key) ?? { value: fallback, source: 'default' };
    const setting: Setting<unknown> = settings[key];
    const parsed = setting.schema.safeParse(found.value);
    if (!parsed.success) {
      const reasons = parsed.error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; ');
      const given = setting.isSecret === true ? '' : `, not ${shown(found.value)}`;
      const message = `${key} (${found.source}): ${reasons}${given}; set it with ${waysToSet(key)}`;
      problems.push({ keys: [key], message });
    }
    values[key] = parsed.success ? parsed.data : fallback;
    sources[key] = found.source;
  }
  warnings.push(...misspelt(input.env));
  // Every key of the table was just given a value that its own schema has let pass, or its default.
  const loaded = { values: values as Config, sources: sources as Record<SettingKey, string>, warnings };
  return { loaded, problems };
}

/** JSON writes null for the numbers that YAML calls .nan and .inf. */
function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** `--debug` is short for --log-level=debug, which overrides it. */
function debugFlag(key: SettingKey, { isDebug }: ConfigInput): Sourced | undefined {
  return isDebug === true && key === 'log.level' ? { value: 'debug', source: 'flag --debug' } : undefined;
}

function fromFlags(key: SettingKey, { flags }: ConfigInput): Sourced | undefined {
  const flag = flags?.[key];
  if (flag === undefined) return undefined;
  return { value: settings[key].read(flag.text), source: `flag ${flag.name}` };
}

function fromEnvironment(key: SettingKey, { env }: ConfigInput, warnings: string[]): Sourced | undefined {
  for (const name of environmentNames(key)) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    // Kubernetes gives every pod such variables for a Service of that name; they are not meant for tka.
    if (key.endsWith('.port') && text.startsWith('tcp://')) {
      warnings.push(
        `${name} comes from a Kubernetes Service and is not read; name the Service otherwise, or set enableServiceLinks: false`,
      );
      continue;
    }
    return { value: settings[key].read(text), source: `environment ${name}` };
  }
  return undefined;
}

function readFile(
  { path, text }: { readonly path: string; readonly text: string },
  { warnings, problems }: { readonly warnings: string[]; readonly problems: Problem[] },
) {
  const refuseKey = (message: string): void => void problems.push({ keys: [], message: `${path}: ${message}` });
  const found = new Map<SettingKey, Sourced>();
  const source = `file ${path}`;
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    problems.push({ keys: [], message: `${path} is not YAML: ${problem.message.trim()}` });
    return found;
  }

  const walk = (value: unknown, at: readonly string[]): void => {
    const key = at.join('.');
    const known = settingKeys.find((candidate) => candidate === key);
    if (known !== undefined) {
      // `key:` with nothing after it is what a commented-out value leaves behind.
      if (value !== null) found.set(known, { value, source });
      return;
    }
    if (key === 'debug') {
      if (value === true)
        found.set('log.level', found.get('log.level') ?? { value: 'debug', source: `${source} (debug)` });
      return;
    }
    if (at.length > 0 && unusedGroups.includes(at[0] ?? '')) {
      warnings.push(`${key} in ${path} has no effect in this version`);
      return;
    }
    const isGroup = at.length === 0 || settingKeys.some((candidate) => candidate.startsWith(`${key}.`));
    if (!isGroup) {
      refuseKey(`unknown key ${key}${suggestion(key)}`);
      return;
    }
    if (value === null || value === undefined) return;
    if (typeof value !== 'object' || Array.isArray(value)) {
      refuseKey(`${key === '' ? 'the file' : key} must be a map of keys`);
      return;
    }
    for (const [name, inner] of Object.entries(value)) walk(inner, [...at, name]);
  };
  walk(document.toJS({ maxAliasCount: 10 }) as unknown, []);
  return found;
}

function suggestion(key: string): string {
  const nearest = nearestOf(key, settingKeys);
  return nearest === undefined ? '; docs/configuration.md lists them all' : `; did you mean ${nearest}?`;
}

/** Variables that differ from tka's by a letter or two: nothing else would report them. */
function misspelt(env: ConfigInput['env']): readonly string[] {
  const known = settingKeys.flatMap((key) => environmentNames(key));
  return Object.keys(env)
    .filter((name) => name.startsWith('TKA_') && !known.includes(name))
    .flatMap((name) => {
      const nearest = nearestOf(name, known, 2);
      return nearest === undefined ? [] : [`${name} in the environment is not read; did you mean ${nearest}?`];
    });
}

function nearestOf<T extends string>(
  word: string,
  candidates: readonly T[],
  limit = Math.max(2, word.length / 3),
): T | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= limit ? best.candidate : undefined;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + cost));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** One line a setting: key, value, source. Secrets are masked. */
export function describeConfig({
  values,
  sources,
}: LoadedConfig): readonly { key: SettingKey; value: unknown; source: string }[] {
  return settingKeys.map((key) => {
    const setting: Setting<unknown> = settings[key];
    const value = values[key];
    return { key, value: setting.isSecret === true && value !== '' ? '********' : value, source: sources[key] };
  });
}

/** What an operator should know about these roles. */
export function roleWarnings(values: Pick<Config, 'roles.clusterWide'>): readonly string[] {
  const strong = values['roles.clusterWide'].filter((role) => !/^(view|system:.*)$/.test(role));
  if (strong.length === 0) return [];
  return [
    `tka may bind ${strong.join(', ')} in the whole cluster: anyone to whom the tailnet policy grants edit, admin or more there can become cluster-admin in almost any cluster`,
  ];
}

/** Only what passes through tka is recorded. */
export function recordingWarnings(values: Pick<Config, 'recording.directory' | 'api.modes'>): readonly string[] {
  if (values['recording.directory'] === '' || !values['api.modes'].includes('direct')) return [];
  return [
    'commands of sessions in direct mode are not recorded, because they do not come through tka: set api.modes to proxy',
  ];
}

/** Which flag sets which setting. */
export function flagSettings(): readonly {
  readonly key: SettingKey;
  readonly names: readonly string[];
  readonly isBoolean: boolean;
  readonly about: string;
}[] {
  return settingKeys.flatMap((key) => {
    const names = flagNames(key);
    return names.length === 0
      ? []
      : [{ key, names, isBoolean: fallbackOf(key, {}) === false, about: settings[key].about }];
  });
}
