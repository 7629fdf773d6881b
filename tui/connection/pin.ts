import { UserError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { rememberServer } from '../trust/known-servers.ts';
import { tailnetOf } from '../trust/trust.ts';
import type { Target } from './target.ts';

export interface Pin {
  keep(): void;
  /** Warns where something cannot be written. */
  tries(write: () => void): void;
  keepOnce(): void;
  name(cluster: string): void;
}

/** The server's pin. If it cannot be written, that is a warning. */
export function createPin(
  { env }: Pick<Runtime, 'env'>,
  { server, network, judged: { peer, pin, elsewhere } }: Target,
  warn: (line: string) => void,
): Pin {
  // What another tailnet's machine called its cluster says nothing of this one's.
  let known = elsewhere === undefined ? pin?.cluster : undefined;
  let isKept = false;
  const tries = (write: () => void): void => {
    try {
      write();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      warn(`could not save trust for ${server}: ${error.message}`);
    }
  };
  const keep = (): void => {
    isKept = true;
    if (peer === undefined || network === undefined) return;
    const { id: nodeId, tags } = peer;
    const replicaOf = elsewhere === undefined && pin?.nodeId === nodeId ? pin.replicaOf : undefined;
    const more = {
      ...tailnetOf(network),
      ...(known === undefined ? {} : { cluster: known }),
      ...(replicaOf === undefined ? {} : { replicaOf }),
    };
    tries(() => rememberServer(env, { server, nodeId, tags, ...more }));
  };
  return {
    keep,
    tries,
    keepOnce: () => {
      if (!isKept) keep();
    },
    name: (cluster) => {
      if (cluster === known) return;
      known = cluster;
      keep();
    },
  };
}
