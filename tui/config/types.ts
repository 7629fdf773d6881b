/** The settings that a configuration file or the environment may have. */
import type { Mode } from '../../node/http/contract.ts';

/** Absent means not set; who reads a setting knows its default. */
export interface Settings {
  /** The file they came from. */
  readonly path?: string;
  /** A host name, host:port or URL, made from `tailscale.*` where there is no `server`. */
  readonly server?: string;
  /** What `tka clusters` lists besides what it finds. */
  readonly servers: readonly string[];
  readonly port?: number;
  readonly mode?: Mode;
  readonly theme?: string;
  readonly contextName?: string;
  /** Glob patterns; undefined where nothing is to be looked for. */
  readonly discovery: Discovery | undefined;
  readonly socket?: string;
  /** Of a node that the command makes by itself. */
  readonly controlUrl?: string;
  readonly long?: boolean;
  readonly quiet?: boolean;
}

export interface Discovery {
  readonly tags: readonly string[];
  readonly names: readonly string[];
}

export const defaultDiscovery: Discovery = { tags: ['tag:tka*'], names: ['tka*'] };

interface TailscaleNames {
  readonly hostname: string | undefined;
  readonly port: number | undefined;
  readonly tailnet: string | undefined;
}

/** The server that `tailscale.*` names; undefined where neither the host nor the tailnet is set. */
export function serverOf({ hostname, port, tailnet = '' }: TailscaleNames): string | undefined {
  if (hostname === undefined && tailnet === '') return undefined;
  const domain = tailnet === '' ? '' : `.${tailnet.replace(/^\./, '')}`;
  return `${hostname ?? 'tka'}${domain}${port === undefined ? '' : `:${port}`}`;
}
