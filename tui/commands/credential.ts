/**
 * `tka credential`: the exec plugin behind kubectl's entry. One ExecCredential v1 on stdout, and nothing else there.
 *
 * From the cache it loads nothing and makes no call. A credential about to expire is refreshed, by one of however many
 * run (credential/refresh.ts), in less than 10 s; it never prompts. A failure is one line on stderr, because kubectl shows it between its own.
 */
import { parseArgs } from 'node:util';
import type { Mode } from '../../node/http/contract.ts';
import { type Credential, readCredential, removeCredentials } from '../credential/cache.ts';
import { exitCodes, RefusedError, usageError, UserError } from '../errors.ts';
import type { PluginCall } from '../credential/exec-plugin.ts';
import type { Runtime } from '../runtime.ts';
import { isSessionName } from '../api/token.ts';

/** Reads its own arguments: the parser of the other commands costs more than all of this. */
export async function credential(runtime: Runtime, args: readonly string[]): Promise<void> {
  const { mode, proxy, ...key } = readArguments(args);
  checkExecInfo(runtime.env['KUBERNETES_EXEC_INFO']);
  const cached = readCredential(runtime.env, key);
  const left = cached === undefined ? 0 : Date.parse(cached.expiresAt) - runtime.now().getTime();
  if (cached !== undefined && left > renewBeforeMs) {
    print(runtime, cached);
    return;
  }
  try {
    const { refreshCredential } = await import('../credential/refresh.ts');
    print(
      runtime,
      await refreshCredential(runtime, { ...key, mode, proxy }, { isUrgent: left <= stillGoodMs, cached }),
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (isEnded(error)) {
      removeCredentials(runtime.env, key);
      const message = `the session ${key.session} has ended: run \`tka login --server ${key.server}\``;
      throw new UserError(message, [], exitCodes.denied, error);
    }
    // The session is about to end, or the server is away: what is left is still good.
    if (cached !== undefined && left > stillGoodMs) print(runtime, cached);
    else throw new UserError([error.message, ...error.advice.slice(0, 1)].join('. '), [], error.exitCode, error);
  }
}

const renewBeforeMs = 60_000;
const stillGoodMs = 5000;
const apiVersion = 'client.authentication.k8s.io/v1';

function readArguments(args: readonly string[]): PluginCall {
  const { server, session, mode, proxy } = parse(args);
  const origin = server === undefined ? null : URL.parse(server);
  if (origin === null || session === undefined || !isSessionName(session) || !(mode === undefined || isMode(mode))) {
    throw usageError('tka credential needs --server URL and --session NAME, as `tka login` writes them for kubectl');
  }
  return { server: origin.origin, session, mode, proxy };
}

const options = {
  server: { type: 'string', short: 's' },
  session: { type: 'string' },
  mode: { type: 'string' },
  proxy: { type: 'string' },
} as const;

function parse(args: readonly string[]): { readonly [name in keyof typeof options]?: string } {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : 'unknown argument');
  }
}

function isMode(text: string): text is Mode {
  return text === 'direct' || text === 'proxy';
}

/** kubectl says which version it expects; an answer in another is an error there that names nothing. */
function checkExecInfo(text: string | undefined): void {
  if (text === undefined || text === '') return;
  let asked: unknown;
  try {
    const info: unknown = JSON.parse(text);
    asked = typeof info === 'object' && info !== null && 'apiVersion' in info ? info.apiVersion : undefined;
  } catch {
    throw new UserError('KUBERNETES_EXEC_INFO is not JSON: kubectl sets it, unset it to run this by hand');
  }
  if (asked !== apiVersion) {
    throw new UserError(
      `the kubeconfig entry asks for ${JSON.stringify(asked)}, not ${apiVersion}: run \`tka login\` to rewrite it`,
    );
  }
}

/** The server knows no such session of this caller, or grants it no more. */
function isEnded(error: UserError): boolean {
  return error instanceof RefusedError && [401, 403, 404].includes(error.status);
}

function print(runtime: Runtime, { token, expiresAt }: Credential): void {
  const status = { token, expirationTimestamp: expiresAt };
  runtime.stdout.write(
    `${JSON.stringify({ kind: 'ExecCredential', apiVersion, spec: { interactive: false }, status })}\n`,
  );
}
