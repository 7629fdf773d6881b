/**
 * A server of single HTTP exchanges that is only scenery, answered by nock without a connection. Each has a host of its own, so that tests
 * run side by side. Where the connection itself is under test: stub-server.ts.
 */
import type { ExecutionContext } from 'ava';
import nock from 'nock';
import { type Api, createApi } from '../api/api.ts';
import { createTransport } from '../api/transport.ts';

nock.disableNetConnect();
nock.enableNetConnect('127.0.0.1');
let count = 0;

export interface NockServer {
  /** Every exchange that it was told of has to come. */
  readonly server: nock.Scope;
  readonly requests: readonly { readonly headers: Readonly<Record<string, string>>; readonly body: string }[];
  readonly api: Api;
}

export async function nockServer(t: ExecutionContext, traceparent?: string): Promise<NockServer> {
  count += 1;
  const url = `http://tka-${count}.test`;
  const requests: NockServer['requests'][number][] = [];
  const server = nock(url).on('request', ({ headers }: Request, _, body: string) => {
    requests.push({ headers: Object.fromEntries(headers), body });
  });
  const transport = await createTransport(new URL(url), undefined);
  t.teardown(() => {
    transport.close();
    // An assertion would come too late: the test has ended.
    if (!server.isDone()) throw new Error(`not asked: ${server.pendingMocks().join(', ')}`);
  });
  return { server, requests, api: createApi(transport, traceparent) };
}
