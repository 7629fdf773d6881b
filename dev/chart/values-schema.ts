/**
 * The schema of the chart's values: by hand but for `settings`, which is what the server's configuration file may have, from
 * node/config/settings.ts.
 *
 * Not in it: secrets, which a ConfigMap must not hold; the roles, which have a value of their own because tka's right to bind
 * them must agree; and what the chart's objects fix, so that a setting never is in the file without effect. What each means is in
 * docs/configuration.md.
 */
import { readFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import * as z from 'zod';
import type { Setting } from '../../node/config/setting-kinds.ts';
import { settingKeys, settings } from '../../node/config/settings.ts';

const ownValues: ReadonlySet<string> = new Set(['roles.clusterWide', 'roles.namespaced']);

/** What the StatefulSet's environment sets, which wins over the file; and what rights, policies, probes and Services name. */
const fixed: ReadonlySet<string> = new Set([
  'tailscale.hostname',
  'tailscale.stateDir',
  'tailscale.stateSecret',
  'api.serverKeySecret',
  'replicas.identity',
  'replicas.election',
  'operator.namespace',
  'kubernetes.namespace',
  'health.address',
  'health.port',
]);

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
    if (setting.isSecret === true || ownValues.has(key) || fixed.has(key)) continue;
    const names = key.split('.');
    const last = names.pop() ?? key;
    const parent = names.reduce((above, name) => (above.properties[name] ??= group()) as Group, root); // made here
    const { $schema: _, ...schema } = z.toJSONSchema(setting.schema, { target: 'draft-7', io: 'input', override });
    // The server refuses another one when it starts: kubectl sends no credential without TLS.
    parent.properties[last] = key === 'clusterInfo.apiEndpoint' ? { ...schema, pattern: '^(https://.+)?$' } : schema;
  }
  return root;
}

/** Of a URL, zod's JSON schema leaves the scheme out. */
function override({ jsonSchema }: { readonly jsonSchema: { format?: string; pattern?: string } }): void {
  if (jsonSchema.format === 'uri') jsonSchema.pattern = '^https?://';
}

function group(): Group {
  return { type: 'object', additionalProperties: false, properties: {} };
}
