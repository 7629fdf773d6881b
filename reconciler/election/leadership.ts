/**
 * Whether this process works on the sessions: as the only replica, or as the elected one.
 */
import { type Clock, createElapsedClock } from '../clock.ts';
import type { Clients, Cluster } from '../cluster.ts';
import { Election, type ElectionOptions } from './election.ts';

/** Where several replicas run, or may. */
export type Replicas = Pick<
  ElectionOptions,
  'store' | 'identity' | 'leaseMs' | 'renewDeadlineMs' | 'retryMs' | 'card'
> & {
  /** Only forward; default: what has passed by any clock of this machine. */
  readonly clock?: Clock;
};

export interface Leadership {
  /** Aborts when it is over; undefined while another leads. */
  readonly term: AbortSignal | undefined;
  readonly cards: Readonly<Record<string, string>>;
  /** The leader's clients: no request leaves once the term has ended. */
  readonly clients: Clients;
  start(onLead: (term: AbortSignal) => void): void;
  /** Lets another replica lead at once: all work of the term must have ended before. */
  stop(): Promise<void>;
}

export function createLeadership(
  cluster: Cluster,
  replicas: Replicas | undefined,
  { random, log }: Pick<ElectionOptions, 'random' | 'log'>,
): Leadership {
  return replicas === undefined ? alone(cluster) : elected(cluster, replicas, { random, log });
}

function alone(clients: Clients): Leadership {
  const { signal } = new AbortController();
  let term: AbortSignal | undefined;
  return {
    get term() {
      return term;
    },
    cards: {},
    clients,
    start(onLead) {
      term = signal;
      onLead(signal);
    },
    stop: () => Promise.resolve(),
  };
}

function elected(
  cluster: Cluster,
  { clock = createElapsedClock(), ...replicas }: Replicas,
  rest: Pick<ElectionOptions, 'random' | 'log'>,
): Leadership {
  let onLead = (_term: AbortSignal): void => {};
  const election = new Election({ ...replicas, ...rest, clock, onLead: (term) => onLead(term) });
  return {
    get term() {
      return election.term;
    },
    get cards() {
      return election.cards;
    },
    clients: cluster.checkedBy(() => election.check()),
    start(listener) {
      onLead = listener;
      election.start();
    },
    stop: () => election.stop(),
  };
}
