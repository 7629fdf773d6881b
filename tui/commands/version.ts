/**
 * `tka version`: this command's version, and the server's unless --client.
 *
 * It reads its own arguments: with --client it loads nothing.
 */
import { parseArgs } from 'node:util';
import { parsePort, parseTimeoutMs } from '../config/flag-values.ts';
import { usageError } from '../errors.ts';
import type { GlobalFlags, OutputForm } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function version(runtime: Runtime, args: readonly string[]): Promise<void> {
  const { client, output, flags } = readArguments(args);
  // Set by the build; a checkout that runs as it is has none.
  const own = process.env.TKA_VERSION ?? 'dev';
  const print = async (value: object): Promise<void> => {
    if (output === undefined) return;
    const { writeData } = await import('../terminal/structured-output.ts');
    await writeData(runtime, output, value, own);
  };
  if (output === undefined) runtime.stdout.write(`tka ${own}\n`);
  if (client) return print({ client: own });
  const server = await askServer(runtime, flags).catch(async (error: unknown) => {
    await print({ client: own });
    throw error;
  });
  if (output === undefined) runtime.stdout.write(`server ${server.version} (${server.url})\n`);
  return print({ client: own, server });
}

interface Arguments {
  readonly client: boolean;
  readonly output: OutputForm | undefined;
  readonly flags: GlobalFlags;
}

const options = {
  client: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  server: { type: 'string', short: 's' },
  port: { type: 'string', short: 'p' },
  cluster: { type: 'string' },
  config: { type: 'string', short: 'c' },
  timeout: { type: 'string' },
  theme: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  'non-interactive': { type: 'boolean' },
} as const;

function readArguments(args: readonly string[]): Arguments {
  const { client, output, port, timeout, 'non-interactive': nonInteractive, ...rest } = parse(args);
  if (output !== undefined && output !== 'json' && output !== 'yaml' && output !== 'name') {
    throw usageError(`--output ${JSON.stringify(output)} is invalid (json, yaml or name)`);
  }
  const flags = {
    ...rest,
    ...(port === undefined ? {} : { port: read('--port', port, parsePort) }),
    ...(timeout === undefined ? {} : { timeoutMs: read('--timeout', timeout, parseTimeoutMs) }),
    ...(nonInteractive === undefined ? {} : { nonInteractive }),
  };
  return { client: client === true, output, flags };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : 'unknown argument');
  }
}

function read(flag: string, text: string, parseValue: (text: string) => number | undefined): number {
  const value = parseValue(text);
  if (value === undefined) throw usageError(`invalid ${flag} ${JSON.stringify(text)}`);
  return value;
}

async function askServer(runtime: Runtime, flags: GlobalFlags): Promise<{ url: string; version: string }> {
  const [{ lookAt }, { printable }] = await Promise.all([
    import('../connection/look.ts'),
    import('../terminal/output.ts'),
  ]);
  return lookAt(runtime, flags, async ({ server, api }, call) => {
    const { version } = await api.wellKnown(call);
    return { url: server, version: printable(version, 80) };
  });
}
