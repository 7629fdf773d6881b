/**
 * What a flag or an argument may be: by its declared choices, from this machine's own files, or from what a server said
 * a moment ago. Nothing here asks a person, or fails.
 */
import type { Argument, Option } from 'commander';
import type { GlobalFlags } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { cachedAnswer } from './cache.ts';
import type { Position } from './position.ts';

export interface Values {
  readonly values: readonly string[];
  /** Of some of the values. */
  readonly meanings?: Readonly<Record<string, string>>;
  /** The shell completes names of files. */
  readonly files?: true;
}

export async function valuesOfOption(runtime: Runtime, option: Option, { given }: Position): Promise<Values> {
  if (option.argChoices !== undefined) return { values: option.argChoices };
  const source = options[option.attributeName()];
  return source === undefined ? none : attempt(() => source(runtime, given));
}

export async function valuesOfArgument(
  runtime: Runtime,
  argument: Argument,
  { command, given }: Position,
  before: readonly string[],
): Promise<Values> {
  if (argument.argChoices !== undefined) return { values: argument.argChoices };
  if (command.parent?.name() === 'clusters') return attempt(() => pinned(runtime));
  if (command.name() === 'use') return attempt(() => contexts(runtime, given));
  if (command.name() !== 'config' && command.parent?.name() !== 'config') return none;
  if (argument.name() === 'key') return attempt(configKeys);
  const ofKey = argument.name() === 'value' ? configValues[before.at(-1) ?? ''] : undefined;
  return ofKey === undefined ? none : attempt(() => ofKey(runtime, given));
}

type Source = (runtime: Runtime, given: Position['given']) => Promise<Values>;

const none: Values = { values: [] };
const files: Source = async () => ({ values: [], files: true });

const options: Readonly<Record<string, Source>> = {
  config: files,
  kubeconfig: files,
  authKeyFile: files,
  theme: async () => ({ values: (await import('../terminal/theme.ts')).themeNames }),
  period: async () => ({ values: ['30m', '1h', '2h', '4h', '8h'] }),
  contextName: async () => none,
  cluster: clusterNames,
  server: servers,
  session: sessions,
  role: async (runtime, given) => ({ values: (await grants(runtime, given)).roles }),
  namespace: async (runtime, given) => ({ values: (await grants(runtime, given)).namespaces }),
};

const configValues: Readonly<Record<string, Source>> = {
  theme: async (runtime, given) => options['theme']?.(runtime, given) ?? none,
  'output.theme': async (runtime, given) => options['theme']?.(runtime, given) ?? none,
  mode: async () => ({ values: ['proxy', 'direct'] }),
  server: servers,
  discovery: async () => ({ values: ['true', 'false'] }),
};

async function attempt(source: () => Promise<Values>): Promise<Values> {
  try {
    return await source();
  } catch {
    // The person is still typing: the command itself reports errors.
    return none;
  }
}

async function configKeys(): Promise<Values> {
  const { settingsTable } = await import('../config/table.ts');
  const meanings = Object.fromEntries(settingsTable.map(({ key, meaning }) => [key, meaning]));
  return { values: Object.keys(meanings), meanings };
}

/** Trusted ones are known here; others have to be asked for. */
async function clusterNames(runtime: Runtime, given: Position['given']): Promise<Values> {
  const found = await cachedAnswer(runtime, {
    question: ['clusters', given['config']],
    ask: async (signal) => {
      const { findClusters } = await import('../discovery/index.ts');
      const { clusters } = await findClusters(runtime, { signal, config: given['config'] });
      return clusters.flatMap(({ name, answer }) => (answer.state === 'here' ? [name] : []));
    },
  });
  const { readKnownServers } = await import('../trust/known-servers.ts');
  const known = readKnownServers(runtime.env).flatMap(({ cluster }) => cluster ?? []);
  return { values: [...known, ...found] };
}

async function servers(runtime: Runtime, given: Position['given']): Promise<Values> {
  const [{ readKnownServers }, { readSettings }] = await Promise.all([
    import('../trust/known-servers.ts'),
    import('../config/settings.ts'),
  ]);
  const known = readKnownServers(runtime.env).map(({ server }) => server);
  const settings = await readSettings(runtime, given['config'] === undefined ? {} : { config: given['config'] });
  return { values: [...known, ...settings.servers, ...(settings.server === undefined ? [] : [settings.server])] };
}

async function pinned(runtime: Runtime): Promise<Values> {
  const { readKnownServers } = await import('../trust/known-servers.ts');
  return { values: readKnownServers(runtime.env).flatMap(({ server, cluster }) => cluster ?? server) };
}

async function sessions(runtime: Runtime, given: Position['given']): Promise<Values> {
  const { readOwnContexts } = await import('../kubeconfig/own-contexts.ts');
  return { values: readOwnContexts(runtime.env, given['kubeconfig']).map(({ session }) => session) };
}

/** By their names alone; clusters' and sessions' names would be the same once more. */
async function contexts(runtime: Runtime, given: Position['given']): Promise<Values> {
  const { ownContextsHere } = await import('../connection/last-server.ts');
  const own = ownContextsHere(runtime.env, given['kubeconfig']);
  const meanings = Object.fromEntries(own.map(({ context, server }) => [context, server]));
  return { values: own.map(({ context }) => context), meanings };
}

interface Grants {
  readonly roles: readonly string[];
  readonly namespaces: readonly string[];
}

async function grants(runtime: Runtime, given: Position['given']): Promise<Grants> {
  const flags: GlobalFlags = {
    ...(given['server'] === undefined ? {} : { server: given['server'] }),
    ...(given['port'] === undefined ? {} : { port: Number(given['port']) }),
    ...(given['cluster'] === undefined ? {} : { cluster: given['cluster'] }),
    ...(given['config'] === undefined ? {} : { config: given['config'] }),
  };
  const lines = await cachedAnswer(runtime, {
    question: ['grants', flags, runtime.env['TKA_SERVER']],
    ask: async (signal) => {
      const { reach } = await import('../connection/connect.ts');
      const connection = await reach(runtime, flags, { purpose: 'look', warn: () => {}, signal });
      try {
        const { rules } = await connection.api.whoami({ signal });
        return rules.flatMap(({ role, namespaces = [] }) => [
          `role ${role}`,
          ...namespaces.map((one) => `namespace ${one}`),
        ]);
      } finally {
        connection.close();
      }
    },
  });
  const after = (word: string): string[] =>
    lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  return { roles: after('role'), namespaces: after('namespace') };
}
