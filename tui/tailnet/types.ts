/** The tailnet as the local tailscaled reports it, and why it cannot. */
import { isIP } from 'node:net';
import { UserError } from '../errors.ts';

export interface Peer {
  /** The stable node ID: what a server is pinned by. */
  readonly id: string;
  /** The MagicDNS name, without the root's dot; empty where there is none. */
  readonly name: string;
  /** What the machine calls itself: for display alone. */
  readonly hostName: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  /** Connected to its control server, and its key has not expired. */
  readonly online: boolean;
  readonly expired?: true;
  /** It belongs to another tailnet, whose admin shared it. Its tags are that tailnet's, so they are left out. */
  readonly shared?: true;
}

export interface Tailnet {
  readonly self: Peer;
  readonly peers: readonly Peer[];
  /** Whether names of peers resolve on this machine: MagicDNS is on and there is an interface to send through. */
  readonly namesResolve: boolean;
  /** tailscaled has no network interface: peers are reached only through its proxy. */
  readonly userspace?: true;
  /** `example.ts.net`; empty where the tailnet has none. */
  readonly suffix: string;
  /** The control server's host; absent where tailscaled does not tell. */
  readonly control?: string;
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

export interface ReadTailnetOptions {
  readonly signal: AbortSignal;
  /** Default: 2000. */
  readonly timeoutMs?: number;
  /** The file of --config. */
  readonly config?: string | undefined;
}

/** The peer (or this machine itself) that has the host name or address; undefined where none or more than one has. */
export function peerAt(tailnet: Tailnet, host: string): Peer | undefined {
  const wanted = host.toLowerCase().replace(/^\[|\]$|\.$/g, '');
  const nodes = [tailnet.self, ...tailnet.peers];
  const [found, ...others] = nodes.filter((node) =>
    isIP(wanted) === 0 ? isNamed(node, wanted, tailnet.suffix) : node.addresses.includes(wanted),
  );
  return others.length === 0 ? found : undefined;
}

/** Never by the name that the machine gives itself, which any machine may choose. */
function isNamed({ name, shared }: Peer, wanted: string, suffix: string): boolean {
  if (name === '' || wanted === '') return false;
  if (name === wanted) return true;
  return shared !== true && suffix !== '' && name === `${wanted}.${suffix}`;
}
