/**
 * `tka config`: reads and changes the configuration file. Values on stdout; what was done, on stderr. A key that the command
 * does not know is a mistake here, and is left alone in the file.
 */
import { writeData } from '../terminal/structured-output.ts';
import { UserError, usageError } from '../errors.ts';
import type { ConfigFlags } from '../flags.ts';
import { createWords, printable, renderTable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { ownSettingsPath, readSettingsFile } from '../config/settings.ts';
import { settingOf, settingsTable } from '../config/table.ts';

export async function config(runtime: Runtime, flags: ConfigFlags): Promise<void> {
  const { action, key } = flags;
  if (action === 'path') return writePath(runtime, flags);
  if (action === 'list') return list(runtime, flags);
  if (key === undefined) throw usageError(`tka config ${action} needs a key`, ['List all keys: tka config list']);
  if (action === 'get') return get(runtime, flags, key);
  return edit(runtime, flags, key);
}

async function list(runtime: Runtime, flags: ConfigFlags): Promise<void> {
  const { path, values } = await readValues(runtime, flags);
  const set = settingsTable.filter(({ key }) => values(key) !== undefined);
  if (flags.output !== undefined) {
    const names = set.map(({ key }) => key);
    await writeData(runtime, flags.output, Object.fromEntries(names.map((key) => [key, values(key)])), names);
    return;
  }
  const rows = settingsTable.map(({ key, meaning, default: fallback }) => {
    const value = values(key);
    return [key, value === undefined ? `(${fallback})` : printable(asText(value, ','), 80), meaning];
  });
  runtime.stdout.write(renderTable([['KEY', 'VALUE', 'MEANING'], ...rows]));
  createWords(runtime, flags.quiet === true).say(`From ${path ?? 'no file'}; values in parentheses are defaults.`);
}

async function get(runtime: Runtime, flags: ConfigFlags, key: string): Promise<void> {
  settingOf(key);
  const { values } = await readValues(runtime, flags);
  const value = values(key);
  if (value === undefined) throw new UserError(`${key} is not set`, [`Set it: tka config set ${key} VALUE`]);
  if (flags.output === undefined) runtime.stdout.write(`${asText(value, '\n')}\n`);
  else await writeData(runtime, flags.output, value, asText(value, '\n'));
}

async function edit(runtime: Runtime, flags: ConfigFlags, key: string): Promise<void> {
  const { action, value, quiet } = flags;
  const setting = settingOf(key);
  if (action === 'set' && value === undefined) throw usageError(`tka config set ${key} needs a value`);
  const parsed = action === 'set' && value !== undefined ? setting.parse(value) : undefined;
  const { editSettings } = await import('../config/edit.ts');
  const { path, changed, copied } = await editSettings(runtime, flags.config, key, parsed);
  const words = createWords(runtime, quiet === true);
  if (copied !== undefined) words.say(`${path} was created as a copy of ${copied}, which is no longer read.`);
  if (!changed) words.say(`${key} was not set in ${path}.`);
  else words.say(parsed === undefined ? `Removed ${key} from ${path}.` : `Set ${key} in ${path}.`);
}

/** Where it is, or would be. */
async function writePath(runtime: Runtime, { config: chosen, output }: ConfigFlags): Promise<void> {
  const path = chosen ?? readSettingsFile(runtime.env, undefined)?.path ?? ownSettingsPath(runtime.env);
  if (output === undefined) runtime.stdout.write(`${path}\n`);
  else await writeData(runtime, output, { path }, path);
}

interface Values {
  readonly path: string | undefined;
  /** As the file has it. */
  readonly values: (key: string) => unknown;
}

async function readValues(runtime: Runtime, { config: chosen }: ConfigFlags): Promise<Values> {
  const file = readSettingsFile(runtime.env, chosen);
  if (file === undefined) return { path: undefined, values: () => undefined };
  const { parseYaml, settingsIn } = await import('../config/config-file.ts');
  // A file that the other commands refuse is refused here too.
  settingsIn(file.text, file.path);
  const document = parseYaml(file.text, file.path);
  const read = (key: string): unknown => {
    const value: unknown = document.getIn(key.split('.'));
    // A map such as `discovery` is listed by its own keys.
    if (typeof value !== 'object' || value === null) return value ?? undefined;
    return 'toJSON' in value && typeof value.toJSON === 'function' ? listOnly(value.toJSON()) : undefined;
  };
  return { path: file.path, values: read };
}

function listOnly(value: unknown): unknown {
  return Array.isArray(value) ? value : undefined;
}

function asText(value: unknown, between: string): string {
  return (Array.isArray(value) ? value : [value]).map(String).join(between);
}
