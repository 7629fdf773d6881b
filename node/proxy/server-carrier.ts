/**
 * A request that an HTTP server of this process has read, because its body has to be looked at.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TailnetConnection } from '../tsnet/node.ts';
import type { Carrier, ProxyRequest } from './carrier.ts';
import type { Connections } from './connections.ts';
import { forward } from './forward.ts';
import { answerRefusal, Refusal } from './refusal.ts';
import type { Upstream } from './upstream.ts';

export interface ServerCarrierDeps {
  readonly connections: Connections;
  readonly upstream: Upstream;
  connectionOf(socket: Socket): TailnetConnection | undefined;
}

export function carriedHere(req: IncomingMessage, res: ServerResponse, deps: ServerCarrierDeps): Carrier {
  let isEarly = false;
  let body: Buffer | undefined;
  return {
    by: 'server',
    request: requestOf(req, deps),
    begin() {
      isEarly = !deps.connections.begin(req, res);
      if (isEarly) throw new Refusal(400, 'a request must wait for the answer to the one before it');
    },
    onGone: (listener) => void res.once('close', listener),
    refuse: (refusal, requestId) => answerRefusal(res, refusal, { requestId, close: !req.complete || isEarly }),
    async readBody(limit) {
      if (req.headers.expect !== undefined) res.writeContinue();
      const chunks: Buffer[] = [];
      let size = 0;
      // Bytes: no encoding is set.
      for await (const chunk of req as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > limit)
          throw new Refusal(413, `the body is longer than the ${limit} bytes that are read for the audit`);
        chunks.push(chunk);
      }
      body = Buffer.concat(chunks);
      return body;
    },
    forward({ uid, ...decided }) {
      if (req.headers.expect !== undefined && body === undefined) res.writeContinue();
      const { upstream } = deps;
      return forward({
        req,
        res,
        pool: upstream.poolOf(uid),
        origin: upstream.url.origin,
        ...(body === undefined ? {} : { body }),
        ...decided,
      });
    },
  };
}

export function requestOf(req: IncomingMessage, deps: Pick<ServerCarrierDeps, 'connectionOf'>): ProxyRequest {
  const { method = '', url = '', httpVersion, rawHeaders, socket } = req;
  return { method, url, httpVersion, rawHeaders, connection: deps.connectionOf(socket) };
}
