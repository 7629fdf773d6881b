/** Asks one server what it is, at `/.well-known/tka`, for a second at most. What it says comes out fit to be shown. */
import { type Api, createApi } from '../api/api.ts';
import { slug } from '../kubeconfig/slug.ts';
import type { Cluster } from './types.ts';
import { RefusedError, UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import type { Peer, Tailnet } from '../tailnet/types.ts';
import { createTransport } from '../api/transport.ts';
import { routeTo } from '../tailnet/route.ts';

export type ServerAnswer =
  | (Extract<Cluster['answer'], { state: 'here' }> & {
      readonly cluster: string;
      /** Stable node IDs, as it says. */
      readonly replicas: readonly string[];
    })
  | Extract<Cluster['answer'], { state: 'away' }>;

export interface AskOptions {
  readonly tailnet: Tailnet | undefined;
  readonly signal: AbortSignal;
}

interface Asked {
  /** The origin. */
  readonly server: string;
  readonly peer?: Peer;
}

/** Rejects only when aborted. */
export async function askServer(
  runtime: Pick<Runtime, 'env'>,
  asked: Asked,
  options: AskOptions,
): Promise<ServerAnswer> {
  const { server, peer } = asked;
  options.signal.throwIfAborted();
  if (peer?.expired === true) return { state: 'away', reason: 'its node key has expired' };
  if (peer?.online === false) return { state: 'away', reason: 'offline' };
  const facts = await briefly(runtime, asked, options, (api, signal) => api.wellKnown({ signal }));
  if (facts === undefined) return { state: 'away', reason: `no answer within ${askTimeoutMs / 1000} s` };
  if (facts instanceof UserError) {
    // The list names the server already.
    const reason = facts.message.replace(`${server} `, '');
    return { state: 'away', reason: printable(reason, 120) };
  }
  return {
    state: 'here',
    cluster: slug(facts.cluster),
    version: printable(facts.version, 80),
    modes: facts.modes,
    replicas: (facts.replicas ?? []).slice(0, 16).map(({ node }) => node),
    labels: Object.fromEntries(
      Object.entries(facts.labels)
        .slice(0, 32)
        .map(([key, value]) => [printable(key, 63), printable(value, 63)]),
    ),
  };
}

/** The roles that the caller may have there, best first; undefined where the server does not say. Rejects only when aborted. */
export async function askRoles(
  runtime: Pick<Runtime, 'env'>,
  asked: Asked,
  options: AskOptions,
): Promise<readonly string[] | undefined> {
  const answer = await briefly(runtime, asked, options, (api, signal) => api.whoami({ signal }));
  if (answer instanceof RefusedError && answer.status === 403) return [];
  if (answer === undefined || answer instanceof UserError) return undefined;
  return [...new Set(answer.rules.slice(0, 100).map(({ role }) => printable(role, 63)))];
}

const askTimeoutMs = 1000;

/** Undefined where it took too long. */
async function briefly<T>(
  { env }: Pick<Runtime, 'env'>,
  { server, peer }: Asked,
  { tailnet, signal }: AskOptions,
  call: (api: Api, signal: AbortSignal) => Promise<T>,
): Promise<T | UserError | undefined> {
  const late = AbortSignal.timeout(askTimeoutMs);
  try {
    const { proxy, addresses } = await routeTo(server, { env, network: tailnet, peer });
    const transport = await createTransport(new URL(server), proxy, addresses);
    try {
      return await call(createApi(transport), AbortSignal.any([signal, late]));
    } finally {
      transport.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return undefined;
    if (error instanceof UserError) return error;
    throw error;
  }
}
