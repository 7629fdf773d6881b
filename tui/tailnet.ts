/**
 * The local tailscaled, asked through its LocalAPI socket, else through `tailscale status --json`: who is on this tailnet
 * and what state this machine is in. Nothing is ever changed there.
 */
import { UserError } from './errors.ts';
import type { Runtime } from './runtime.ts';

export interface Peer {
  /** The stable node ID: what a server is pinned by. */
  readonly id: string;
  /** The MagicDNS name, without the root's dot; empty where there is none. */
  readonly name: string;
  readonly hostName: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly online: boolean;
}

export interface Tailnet {
  readonly self: Peer;
  readonly peers: readonly Peer[];
  /** Whether names of peers resolve on this machine: MagicDNS is on and there is an interface to send through. */
  readonly namesResolve: boolean;
  /** `example.ts.net`; empty where the tailnet has none. */
  readonly suffix: string;
}

export type TailnetProblem = 'absent' | 'forbidden' | 'logged-out' | 'stopped' | 'starting';

/** Why the tailnet cannot be asked. Exit code 4, with the remedy as advice. */
export class TailnetError extends UserError {
  readonly problem: TailnetProblem;

  constructor(problem: TailnetProblem, message: string, advice: readonly string[], cause?: unknown) {
    super(message, advice, 4, cause);
    this.name = 'TailnetError';
    this.problem = problem;
  }
}

/** Throws TailnetError. `timeoutMs` default: 2000. */
export function readTailnet(
  _runtime: Pick<Runtime, 'env'>,
  _options: { readonly signal: AbortSignal; readonly timeoutMs?: number },
): Promise<Tailnet> {
  throw new Error('not written yet');
}

/** The peer (or this machine itself) that has the host name or address; undefined where none or more than one has. */
export function peerAt(_tailnet: Tailnet, _host: string): Peer | undefined {
  throw new Error('not written yet');
}
