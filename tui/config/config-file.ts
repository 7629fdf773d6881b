/**
 * What a configuration file says: the command's own keys, and those of the tka that people run, `tailscale.*` and `output.*`.
 * Other keys are left to others. Comes with the YAML parser and the schema library, so it is loaded on demand.
 */
import { parseDocument } from 'yaml';
import * as z from 'zod';
import { UserError } from '../errors.ts';
import { defaultDiscovery, type Discovery, serverOf, type Settings } from './types.ts';

/** Throws UserError that names the file and the key. */
export function settingsIn(text: string, path: string): Settings {
  const result = fileSchema.safeParse(parseYaml(text, path).toJS() ?? {});
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new UserError(`${path}: ${key}${issue?.message ?? 'not understood'}`, [
      'Correct the key, or name another file with --config.',
    ]);
  }
  const { servers = [], port, mode, contextName, discovery, tailscale, output } = result.data;
  const { hostname, port: tailscalePort, tailnet } = tailscale ?? {};
  const server = result.data.server ?? serverOf({ hostname, port: tailscalePort, tailnet });
  const theme = result.data.theme ?? output?.theme;
  return {
    path,
    servers,
    discovery: readDiscovery(discovery),
    ...defined({ server, port, mode, theme, contextName }),
    ...defined({
      socket: tailscale?.socket,
      controlUrl: tailscale?.controlUrl,
      long: output?.long,
      quiet: output?.quiet,
    }),
  };
}

/** Throws UserError where it is no YAML. */
export function parseYaml(text: string, path: string): ReturnType<typeof parseDocument> {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error === undefined) return document;
  const reason = error.message.split('\n', 1)[0] ?? '';
  throw new UserError(
    `${path} is not valid YAML: ${reason}`,
    ['Correct it, or name another file with --config.'],
    1,
    error,
  );
}

const text = z.string().min(1).max(1024);
const portSchema = z.int().min(1).max(65_535);

const fileSchema = z
  .looseObject({
    server: text,
    servers: z.array(text).max(1000),
    port: portSchema,
    mode: z.enum(['direct', 'proxy']),
    theme: text,
    contextName: text,
    discovery: z.union([z.boolean(), z.looseObject({ tags: z.array(text), names: z.array(text) }).partial()]),
    tailscale: z
      .looseObject({ socket: text, controlUrl: text, hostname: text, port: portSchema, tailnet: z.string() })
      .partial(),
    output: z.looseObject({ theme: text, long: z.boolean(), quiet: z.boolean() }).partial(),
  })
  .partial();

type File = z.infer<typeof fileSchema>;

function readDiscovery(discovery: File['discovery']): Discovery | undefined {
  if (discovery === false) return undefined;
  if (discovery === undefined || discovery === true) return defaultDiscovery;
  const { tags = defaultDiscovery.tags, names = defaultDiscovery.names } = discovery;
  return { tags, names };
}

function defined<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  // Whatever is left has a value.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
