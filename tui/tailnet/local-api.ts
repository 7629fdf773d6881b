/**
 * The way to the local tailscaled: a GET of its status and one of its settings over a socket, or one run of `tailscale status
 * --json`. The result is unvalidated JSON (status.ts reads it).
 */
import { accessSync, constants } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { delimiter, isAbsolute, join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { socketSetting } from '../config/settings.ts';
import { type ReadTailnetOptions, TailnetError } from './types.ts';

export interface TailscaledAnswer {
  readonly status: unknown;
  /** Undefined where it does not tell. */
  readonly prefs?: unknown;
}

/** Throws TailnetError, absent or forbidden; UserError where the configuration file is broken. */
export async function askTailscaled(
  { env }: Pick<Runtime, 'env'>,
  options: ReadTailnetOptions & { readonly timeoutMs: number; readonly usual?: readonly string[] },
): Promise<TailscaledAnswer> {
  const chosen = env['TKA_TAILSCALE_SOCKET'] || (await socketSetting(env, options.config));
  if (chosen !== undefined) return askBoth(chosen, options);
  let failure: TailnetError | undefined;
  for (const path of options.usual ?? usualSockets) {
    try {
      return await askBoth(path, options);
    } catch (error) {
      if (!(error instanceof TailnetError)) throw error;
      if (error.problem === 'forbidden') failure ??= error;
    }
  }
  const program = findProgram(env['PATH'] ?? '');
  const answer = program === undefined ? undefined : await askProgram(program, env, options);
  if (answer !== undefined) return { status: answer };
  throw failure ?? absent('no tailscaled answers on this machine', undefined, isCi(env));
}

const usualSockets = [
  '/var/run/tailscale/tailscaled.sock',
  '/run/tailscale/tailscaled.sock',
  // macOS without the app.
  '/var/run/tailscaled.socket',
  String.raw`\\.\pipe\ProtectedPrefix\Administrators\Tailscale\tailscaled`,
];

/** Some kilobytes for each peer of a tailnet, of which there may be thousands. */
const maxAnswerBytes = 64 * 1024 * 1024;

interface Ask {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

async function askBoth(path: string, ask: Ask): Promise<TailscaledAnswer> {
  const [status, prefs] = await Promise.all([
    askSocket(path, 'status', ask),
    // Permissions are the same for both; a failure here is ignored.
    askSocket(path, 'prefs', ask).catch(() => undefined),
  ]);
  return { status, prefs };
}

function askSocket(path: string, what: 'status' | 'prefs', { signal, timeoutMs }: Ask): Promise<unknown> {
  // Importing it as a module evaluates lazy getters: 20 to 40 ms for nothing.
  const http = process.getBuiltinModule('node:http');
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const late = AbortSignal.timeout(timeoutMs);
  const request = http.request({
    socketPath: path,
    path: `/localapi/v0/${what}`,
    // The name by which tailscaled knows that no web page is asking.
    headers: { host: 'local-tailscaled.sock' },
    agent: false,
    signal: AbortSignal.any([signal, late]),
  });
  request.on('error', reject);
  request.on('response', (response) => void collect(response, path).then(resolve, reject));
  request.end();
  return promise.catch((error: unknown) => {
    request.destroy();
    signal.throwIfAborted();
    if (error instanceof TailnetError) throw error;
    if (late.aborted) throw absent(`tailscaled does not answer at ${path} within ${timeoutMs / 1000} s`, error);
    const code = systemCode(error) ?? '';
    if (code === 'EACCES' || code === 'EPERM') throw forbidden(path, error);
    throw absent(`no tailscaled answers at ${path} (${code === '' ? 'not its kind of answer' : code})`, error);
  });
}

async function collect(response: IncomingMessage, path: string): Promise<unknown> {
  if (response.statusCode === 401 || response.statusCode === 403) {
    response.resume();
    throw forbidden(path);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  // A stream of an IncomingMessage without an encoding yields Buffers.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new Error('more than a status can be');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

/** Only in absolute directories: a `tailscale` in the working directory is not the user's. */
function findProgram(path: string): string | undefined {
  const directories = path.split(delimiter).filter((directory) => isAbsolute(directory));
  const candidates = directories.flatMap((directory) => [
    join(directory, 'tailscale'),
    join(directory, 'tailscale.exe'),
  ]);
  return [...candidates, '/Applications/Tailscale.app/Contents/MacOS/Tailscale'].find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Undefined where it answers nothing of use: it finds no tailscaled either. */
async function askProgram(
  program: string,
  env: Runtime['env'],
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<unknown> {
  const { execFile } = await import('node:child_process');
  const { promise, resolve } = Promise.withResolvers<string>();
  const options = { env: { ...env }, signal, timeout: timeoutMs, maxBuffer: maxAnswerBytes };
  execFile(program, ['status', '--json'], options, (error, stdout) => resolve(error === null ? stdout : ''));
  const text = await promise;
  signal.throwIfAborted();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function absent(message: string, cause?: unknown, inCi = false): TailnetError {
  const advice = [
    ...(inCi ? ['In CI, join the tailnet for one command: tka exec --join -- COMMAND'] : []),
    'Install Tailscale, or start its daemon (for example: sudo systemctl start tailscaled).',
    'If it listens elsewhere, say where: TKA_TAILSCALE_SOCKET, or `tka config set tailscale.socket PATH`.',
  ];
  return new TailnetError('absent', message, advice, cause);
}

function isCi(env: Runtime['env']): boolean {
  const { CI = '' } = env;
  return CI !== '' && CI !== 'false';
}

function forbidden(path: string, cause?: unknown): TailnetError {
  const advice = ['Let your user operate it: sudo tailscale set --operator=$USER'];
  return new TailnetError('forbidden', `tailscaled at ${path} refuses this user`, advice, cause);
}
