/**
 * One exchange with whichever of a server's replicas answers. One that cannot be reached, or says that it is away (503), is passed over; an
 * exchange that may be repeated is also sent to the next if no answer has come for a moment, and the first answer counts. The replica that
 * answered is asked first the next time.
 *
 * Where none answers, the answer or the failure is that of the first.
 */
import { UnreachableError } from '../errors.ts';
import type { Answer, Exchange, Transport } from '../api/transport.ts';

export interface Replica {
  /** The origin. */
  readonly server: string;
  open(): Promise<Transport>;
}

export interface FailoverOptions {
  /** In the order in which they are asked. */
  readonly replicas: readonly [Replica, ...Replica[]];
  /** The server that all of them are, as it is spoken of; usually one of them. */
  readonly server: URL;
  /** Hears, once for each, of a replica that answered in the server's place. */
  readonly onMove: (server: string) => void;
  /** How long an answer may take before another is asked too. */
  readonly patienceMs?: number;
}

export function createFailover({ replicas, server, onMove, patienceMs = 2500 }: FailoverOptions): Transport {
  const opened = new Map<Replica, Promise<Transport>>();
  const told = new Set(replicas.filter((replica) => replica.server === server.origin));
  let preferred: Replica = replicas[0];
  const transportTo = (replica: Replica): Promise<Transport> => {
    const transport = opened.get(replica) ?? replica.open();
    opened.set(replica, transport);
    return transport;
  };
  return {
    server,
    async send(exchange) {
      const order = [preferred, ...replicas.filter((replica) => replica !== preferred)];
      const { answer, by } = await firstAnswer(order, exchange, patienceMs, transportTo);
      preferred = by;
      if (!told.has(by)) onMove(by.server);
      told.add(by);
      return answer;
    },
    close() {
      for (const transport of opened.values()) void transport.then((open) => open.close()).catch(() => {});
    },
  };
}

interface Answered {
  readonly answer: Answer;
  readonly by: Replica;
}

function firstAnswer(
  order: readonly Replica[],
  exchange: Exchange,
  patienceMs: number,
  transportTo: (replica: Replica) => Promise<Transport>,
): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const over = new AbortController();
  const signal = AbortSignal.any([exchange.signal, over.signal]);
  const left = [...order];
  let first: (() => void) | undefined;
  let underWay = 0;
  let timer: NodeJS.Timeout | undefined;

  const settle = (how: () => void): void => {
    clearTimeout(timer);
    how();
    over.abort();
  };
  const next = (): void => {
    clearTimeout(timer);
    const replica = left.shift();
    if (replica === undefined) {
      if (underWay === 0 && first !== undefined) settle(first);
      return;
    }
    if (exchange.isRepeatable === true && left.length > 0) timer = setTimeout(next, patienceMs);
    underWay += 1;
    const failed = (how: () => void): void => {
      underWay -= 1;
      first ??= how;
      if (left.length > 0 || underWay === 0) next();
    };
    transportTo(replica)
      .then((transport) => transport.send({ ...exchange, signal }))
      .then(
        (answer) => {
          if (isAway(answer)) failed(() => resolve({ answer, by: replica }));
          else settle(() => resolve({ answer, by: replica }));
        },
        (error: unknown) => {
          const fail = (): void => reject(error);
          if (error instanceof UnreachableError) failed(fail);
          else settle(fail);
        },
      );
  };
  next();
  return promise;
}

/** Its own word for it, or that of a proxy on the way. */
function isAway({ status }: Answer): boolean {
  return status === 502 || status === 503 || status === 504;
}
