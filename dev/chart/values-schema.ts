/**
 * The schema of the chart's values: by hand but for `settings`, which is what the server's configuration file may have, from
 * node/config/settings.ts.
 *
 * Not in it: secrets, which a ConfigMap must not hold, and the roles, which have a value of their own because tka's right to bind
 * them must agree. What each means is in docs/configuration.md.
 */
import { readFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import * as z from 'zod';
import type { Setting } from '../../node/config/setting-kinds.ts';
import { settingKeys, settings } from '../../node/config/settings.ts';

const ownValues: ReadonlySet<string> = new Set(['roles.clusterWide', 'roles.namespaced']);

interface Group {
  readonly type: 'object';
  readonly additionalProperties: false;
  readonly properties: Record<string, unknown>;
}

/** The whole file, as prettier has it; `path` is where the present one is. */
export async function valuesSchema(path: string): Promise<string> {
  const present = z
    .looseObject({ properties: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(await readFile(path, 'utf8')));
  present.properties['settings'] = settingsSchema();
  return format(JSON.stringify(present), { ...(await resolveConfig(path)), parser: 'json' });
}

function settingsSchema(): Group {
  const root = group();
  for (const key of settingKeys) {
    const setting: Setting<unknown> = settings[key];
    if (setting.isSecret === true || ownValues.has(key)) continue;
    const names = key.split('.');
    const last = names.pop() ?? key;
    const parent = names.reduce((above, name) => (above.properties[name] ??= group()) as Group, root); // made here
    const { $schema: _, ...schema } = z.toJSONSchema(setting.schema, { target: 'draft-7', io: 'input' });
    parent.properties[last] = schema;
  }
  return root;
}

function group(): Group {
  return { type: 'object', additionalProperties: false, properties: {} };
}
