/**
 * Which tka servers there are: peers of the local tailscaled tagged `tag:tka*` or named `tka*` (or as the configuration file's
 * `discovery` says), the servers that the configuration file names, and the trusted ones. Each is asked at
 * `/.well-known/tka`, 8 at once, 1 s each; replicas of one server are one cluster. Being found means nothing: trust is checked apart from it (trust/).
 */
import type { ServerAnswer } from './ask.ts';
import type { Candidate } from './candidates.ts';
import type { Runtime } from '../runtime.ts';
import type { Tailnet } from '../tailnet/types.ts';
import type { Cluster } from './types.ts';

export type { Cluster } from './types.ts';

export interface FindOptions {
  readonly signal: AbortSignal;
  /** Hears the whole list whenever something in it is known better. */
  readonly onChange?: (clusters: readonly Cluster[]) => void;
  /** The file of --config. */
  readonly config?: string | undefined;
  /** Origins of servers to list as if the configuration file named them. */
  readonly named?: readonly string[] | undefined;
}

export interface Found {
  readonly clusters: readonly Cluster[];
  readonly tailnet?: Tailnet;
  /** Why the tailnet could not be asked; then only configured and trusted servers are listed. */
  readonly problem?: Error;
}

/** Sorted by name. Rejects only when aborted, or where the configuration file or that of known servers is broken. */
export async function findClusters(runtime: Runtime, options: FindOptions): Promise<Found> {
  const [{ findCandidates }, { askServer }, { nameClusters }, { mergeReplicas }] = await Promise.all([
    import('./candidates.ts'),
    import('./ask.ts'),
    import('./names.ts'),
    import('./replicas.ts'),
  ]);
  const { candidates, tailnet, problem } = await findCandidates(runtime, options);
  const asked: Asking[] = candidates.map((candidate) => ({ candidate, answer: undefined }));
  const list = (): readonly Cluster[] => nameClusters(mergeReplicas(asked));
  options.onChange?.(list());
  let next = 0;
  const work = async (): Promise<void> => {
    for (let one = asked[next++]; one !== undefined; one = asked[next++]) {
      one.answer = await askServer(runtime, one.candidate, { tailnet, signal: options.signal });
      options.onChange?.(list());
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return {
    clusters: list(),
    ...(tailnet === undefined ? {} : { tailnet }),
    ...(problem === undefined ? {} : { problem }),
  };
}

const atOnce = 8;

interface Asking {
  readonly candidate: Candidate;
  answer: ServerAnswer | undefined;
}
