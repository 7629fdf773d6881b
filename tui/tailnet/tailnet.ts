/**
 * The local tailscaled, asked through its LocalAPI socket, else through `tailscale status --json`: who is on this tailnet
 * and what state this machine is in. Nothing is ever changed there.
 *
 * The socket is TKA_TAILSCALE_SOCKET, else `tailscale.socket` of the configuration file, and then that one alone; else the
 * first of the platform's usual ones that answers, else the `tailscale` program on PATH.
 */
import type { Runtime } from '../runtime.ts';
import type { ReadTailnetOptions, Tailnet } from './types.ts';

/** Throws TailnetError; UserError where the configuration file that names the socket is broken. */
export async function readTailnet(runtime: Pick<Runtime, 'env'>, options: ReadTailnetOptions): Promise<Tailnet> {
  const [{ askTailscaled }, { readStatus }] = await Promise.all([import('./local-api.ts'), import('./status.ts')]);
  const { status, prefs } = await askTailscaled(runtime, { ...options, timeoutMs: options.timeoutMs ?? 2000 });
  return readStatus(status, prefs);
}
