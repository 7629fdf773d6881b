/**
 * The command's configuration file: `server`, or the keys of the tka that people run, `tailscale.hostname`, `tailscale.port`
 * and `tailscale.tailnet`. Other keys are left to others.
 */
import { parse } from 'yaml';
import * as z from 'zod';
import { UserError } from './errors.ts';

/** The server that the file names, as host, host and port, or URL; undefined where it names none. */
export function serverIn(text: string, path: string): string | undefined {
  const result = fileSchema.safeParse(parseYaml(text, path));
  if (!result.success) {
    const [issue] = result.error.issues;
    const key = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new UserError(`${path}: ${key}${issue?.message ?? 'not understood'}`, ['Correct the key, or use --server.']);
  }
  const { server, tailscale } = result.data;
  if (server !== undefined) return server;
  if (tailscale?.hostname === undefined && tailscale?.tailnet === undefined) return undefined;
  const { hostname = 'tka', port, tailnet = '' } = tailscale;
  const domain = tailnet === '' ? '' : `.${tailnet.replace(/^\./, '')}`;
  return `${hostname}${domain}${port === undefined ? '' : `:${port}`}`;
}

const fileSchema = z
  .looseObject({
    server: z.string().min(1),
    tailscale: z
      .looseObject({ hostname: z.string().min(1), port: z.int().min(1).max(65_535), tailnet: z.string() })
      .partial(),
  })
  .partial();

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text) ?? {};
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : '';
    const advice = ['Correct the file, or name the server with --server.'];
    throw new UserError(`${path} is not valid YAML: ${reason}`, advice, 1, cause);
  }
}
