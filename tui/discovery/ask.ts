/** Asks one server what it is, at `/.well-known/tka`, for a second at most. What it says comes out fit to be shown. */
import { createApi } from '../api.ts';
import { slug } from '../cluster-access.ts';
import type { Cluster } from '../clusters.ts';
import { UserError } from '../errors.ts';
import { printable } from '../output.ts';
import { proxyFor } from '../proxy.ts';
import type { Runtime } from '../runtime.ts';
import type { Tailnet } from '../tailnet.ts';
import { createTransport } from '../transport.ts';
import type { Candidate } from './candidates.ts';

export type ServerAnswer =
  | (Extract<Cluster['answer'], { state: 'here' }> & { readonly cluster: string })
  | Extract<Cluster['answer'], { state: 'away' }>;

export interface AskOptions {
  readonly tailnet: Tailnet | undefined;
  readonly signal: AbortSignal;
}

/** Rejects only when aborted. */
export async function askServer(
  { env }: Pick<Runtime, 'env'>,
  { server, peer }: Candidate,
  { tailnet, signal }: AskOptions,
): Promise<ServerAnswer> {
  signal.throwIfAborted();
  if (peer?.expired === true) return { state: 'away', reason: 'its node key has expired' };
  if (peer?.online === false) return { state: 'away', reason: 'offline' };
  const late = AbortSignal.timeout(askTimeoutMs);
  try {
    const proxy = await proxyFor(server, env);
    const addresses = tailnet?.userspace === true ? [] : peer?.addresses;
    const transport = await createTransport(new URL(server), proxy, addresses);
    try {
      const facts = await createApi(transport).wellKnown({ signal: AbortSignal.any([signal, late]) });
      return {
        state: 'here',
        cluster: slug(facts.cluster),
        version: printable(facts.version, 80),
        modes: facts.modes,
        labels: Object.fromEntries(
          Object.entries(facts.labels)
            .slice(0, 32)
            .map(([key, value]) => [printable(key, 63), printable(value, 63)]),
        ),
      };
    } finally {
      transport.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return { state: 'away', reason: `no answer within ${askTimeoutMs / 1000} s` };
    if (!(error instanceof UserError)) throw error;
    // The list names the server already.
    const reason = error.message.replace(`${server} `, '').replace(/^what answers at \S+ is/, 'is');
    return { state: 'away', reason: printable(reason, 120) };
  }
}

const askTimeoutMs = 1000;
