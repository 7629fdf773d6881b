/** Whether the entries that tka wrote are complete: no context without a user, no plugin that is missing. */
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { OwnContext } from '../kubeconfig/entries.ts';
import type { KubeconfigDocument } from '../kubeconfig/entry.ts';
import type { Runtime } from '../runtime.ts';
import { fieldsOf } from '../files/json.ts';
import { findProgram } from '../files/programs.ts';

/** What is wrong, a line each. */
export function brokenEntries(
  files: readonly KubeconfigDocument[],
  own: readonly OwnContext[],
  env: Runtime['env'],
): readonly string[] {
  const contents = files.map(({ document }) => fieldsOf(document.toJS()));
  return own.flatMap(({ context: name }) => {
    const context = find(contents, 'context', name);
    const missing = (['cluster', 'user'] as const).filter((kind) => find(contents, kind, context[kind]) === empty);
    if (missing.length > 0) return `the context ${name} has no ${missing.join(' and no ')}`;
    return brokenPlugin(name, find(contents, 'user', context['user']), env) ?? [];
  });
}

function brokenPlugin(context: string, user: Fields, env: Runtime['env']): string | undefined {
  if (user['exec'] === undefined) return undefined;
  const { command, args } = fieldsOf(user['exec']);
  if (typeof command !== 'string') return `the user of ${context} runs a plugin without a name`;
  if (isAbsolute(command) ? !existsSync(command) : findProgram(env, command) === undefined) {
    return `the user of ${context} runs ${command}, which does not exist`;
  }
  // Where Node runs the command, its first argument is the command.
  const script: unknown = Array.isArray(args) ? args[0] : undefined;
  if (typeof script !== 'string' || !isAbsolute(script) || existsSync(script)) return undefined;
  return `the user of ${context} runs ${script}, which does not exist`;
}

type Fields = Readonly<Record<string, unknown>>;
const empty: Fields = {};

/** The first file that has it wins, as for kubectl. */
function find(contents: readonly Fields[], kind: 'context' | 'cluster' | 'user', name: unknown): Fields {
  for (const content of contents) {
    const list: unknown = content[`${kind}s`];
    if (!Array.isArray(list)) continue;
    const found = list.map(fieldsOf).find((item) => item['name'] === name);
    if (found !== undefined) return fieldsOf(found[kind]);
  }
  return empty;
}
