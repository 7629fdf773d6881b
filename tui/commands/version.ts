/**
 * `tka version`: this command's version, and the server's unless --client.
 *
 * It reads its own arguments: with --client it loads nothing.
 */
import { parseArgs } from 'node:util';
import { usageError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';

export async function version(runtime: Runtime, args: readonly string[]): Promise<void> {
  const { client, output, server } = parse(args);
  const json = output === 'json';
  if (output !== undefined && !json) throw usageError(`--output ${JSON.stringify(output)}: json is the only form`);
  // Set by the build; a checkout that runs as it is has none.
  const own = process.env.TKA_VERSION ?? 'dev';
  if (!json) runtime.stdout.write(`tka ${own}\n`);
  if (client !== true) {
    const answer = await serverVersion(runtime, server).catch((error: unknown) => {
      if (json) print(runtime, { client: own });
      throw error;
    });
    if (json) print(runtime, { client: own, server: answer });
    else runtime.stdout.write(`server ${answer.version} (${answer.url})\n`);
  } else if (json) print(runtime, { client: own });
}

function parse(args: readonly string[]): { client?: boolean; output?: string; server?: string } {
  try {
    const options = {
      client: { type: 'boolean' },
      output: { type: 'string', short: 'o' },
      server: { type: 'string', short: 's' },
    } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : 'unknown argument');
  }
}

async function serverVersion(runtime: Runtime, flag: string | undefined): Promise<{ url: string; version: string }> {
  const [{ connect }, { printable }] = await Promise.all([import('../connect.ts'), import('../output.ts')]);
  const connection = await connect(runtime, flag);
  try {
    const { version } = await connection.api.wellKnown({ signal: runtime.signal });
    return { url: connection.server, version: printable(version, 80) };
  } finally {
    connection.close();
  }
}

function print(runtime: Runtime, value: object): void {
  runtime.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
