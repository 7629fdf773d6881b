/**
 * Requests over one pool of connections. The stock client opens a TLS connection for each request; here all requests of
 * a kubeconfig's user share one dispatcher, which is replaced only when its certificates change (rotated files, an exec
 * plugin's new certificate). HTTP/1.1: HTTP/2 was measured slower.
 *
 * Every request has a deadline; a watch has none, its caller's signal ends it. Rejections are ApiErrors, or the reason
 * of the caller's signal. close() waits for requests under way.
 */
import type https from 'node:https';
import {
  type HttpLibrary,
  type KubeConfig,
  Observable,
  type RequestContext,
  ResponseContext,
} from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent, Socks5ProxyAgent } from 'undici';
import { NotLeadingError } from '../../reconciler/errors.ts';
import { errorFor, unavailable } from './answer.ts';
import { type Description, describeRequest } from './describe.ts';

export interface TransportOptions {
  readonly kubeConfig: KubeConfig;
  /** Around every request, outermost last: undici's interceptors. */
  readonly interceptors?: readonly Dispatcher.DispatcherComposeInterceptor[];
  readonly onRequest?: (request: RequestCount) => void;
  /** Headers of each request, besides those that the client makes of the kubeconfig. */
  readonly impersonation?: Readonly<Record<string, string[]>>;
  readonly userAgent: string;
}

/** One request that is over; `status` is 0 where there was no answer. */
export interface RequestCount extends Description {
  readonly status: number;
  readonly seconds: number;
}

export interface Transport {
  readonly http: HttpLibrary;
  /** As http; `check` is called when a request is about to leave, and may throw. */
  checkedBy(check: () => void): HttpLibrary;
  /** The JSON objects of a watch, one a line. */
  watch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncIterable<unknown>;
  close(): Promise<void>;
}

const deadlineMs = 10_000;
const headersMs = 30_000;
const poolOptions = {
  allowH2: false,
  connections: 64,
  headersTimeout: headersMs,
  bodyTimeout: headersMs,
  keepAliveTimeout: 60_000,
};
/** No object is that large; a stream without line ends must not fill the memory. */
const maxLineLength = 16 * 1024 * 1024;

export function createTransport(options: TransportOptions): Transport {
  const { kubeConfig, onRequest, userAgent } = options;
  let pool: { readonly material: Material; readonly dispatcher: Dispatcher } | undefined;

  async function connect(): Promise<{
    readonly dispatcher: Dispatcher;
    readonly headers: Record<string, string | string[]>;
  }> {
    const { material, headers } = await credentials(kubeConfig);
    if (pool === undefined || !isSame(pool.material, material)) {
      const before = pool?.dispatcher;
      pool = { material, dispatcher: createPool(kubeConfig, material, options.interceptors ?? []) };
      before?.close().catch(() => undefined);
    }
    return { dispatcher: pool.dispatcher, headers: { ...options.impersonation, ...headers, 'user-agent': userAgent } };
  }

  async function send(request: RequestContext, check = (): void => {}): Promise<ResponseContext> {
    const url = new URL(request.getUrl());
    const method = request.getHttpMethod();
    const description = describeRequest(method, url);
    const caller = request.getSignal();
    const deadline = new AbortController();
    const onAbort = (): void => deadline.abort(caller?.reason);
    caller?.throwIfAborted();
    caller?.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => deadline.abort(new Error(`no answer within ${deadlineMs / 1000} s`)), deadlineMs);
    const startedAt = performance.now();
    let status = 0;
    try {
      const { dispatcher, headers } = await connect();
      const body = request.getBody();
      // Nothing is waited for between here and the connection.
      check();
      const response = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { ...request.getHeaders(), ...headers },
        // The generated clients serialize every body of JSON themselves.
        body: (body as string | undefined) ?? null,
        // undici would close the connection after each DELETE with a body, and tka's all carry preconditions.
        reset: false,
        signal: deadline.signal,
      });
      const text = await response.body.text();
      status = response.statusCode;
      if (status >= 400) throw errorFor(status, text, description);
      const type = response.headers['content-type'];
      return new ResponseContext(status, typeof type === 'string' ? { 'content-type': type } : {}, {
        text: () => Promise.resolve(text),
        binary: () => Promise.resolve(Buffer.from(text)),
        stream: () => null,
      });
    } catch (error) {
      caller?.throwIfAborted();
      if (status >= 400 || error instanceof NotLeadingError) throw error;
      throw unavailable(description, deadline.signal.aborted ? deadline.signal.reason : error);
    } finally {
      clearTimeout(timer);
      caller?.removeEventListener('abort', onAbort);
      onRequest?.({ ...description, status, seconds: (performance.now() - startedAt) / 1000 });
    }
  }

  async function* watch(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<unknown> {
    const url = new URL(`${serverOf(kubeConfig)}${path}`);
    for (const [key, value] of Object.entries({ ...query, watch: 'true' })) url.searchParams.set(key, value);
    const description = describeRequest('GET', url);
    const startedAt = performance.now();
    let status = 0;
    try {
      signal.throwIfAborted();
      const { dispatcher, headers } = await connect();
      const response = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        headers: { ...headers, accept: 'application/json' },
        headersTimeout: headersMs,
        // Silence is normal in a watch.
        bodyTimeout: 0,
        signal,
      });
      status = response.statusCode;
      if (status !== 200) throw errorFor(status, await response.body.text(), description);
      for await (const line of linesOf(response.body)) yield JSON.parse(line) as unknown;
    } catch (error) {
      signal.throwIfAborted();
      if (status >= 400) throw error;
      throw unavailable(description, error);
    } finally {
      onRequest?.({ ...description, status, seconds: (performance.now() - startedAt) / 1000 });
    }
  }

  return {
    http: { send: (request) => new Observable(send(request)) },
    checkedBy: (check) => ({ send: (request) => new Observable(send(request, check)) }),
    watch,
    async close() {
      await pool?.dispatcher.close();
    },
  };
}

export function serverOf(kubeConfig: KubeConfig): string {
  return (kubeConfig.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
}

/** What a TLS connection is made with; another set needs other connections. */
type Material = Pick<
  https.RequestOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'rejectUnauthorized' | 'servername'
>;

async function credentials(
  kubeConfig: KubeConfig,
): Promise<{ readonly material: Material; readonly headers: Record<string, string> }> {
  const options: https.RequestOptions = {};
  await kubeConfig.applyToHTTPSOptions(options);
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (typeof options.auth === 'string') {
    headers['authorization'] ??= `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  // A token file ends in a newline more often than not, which no header may hold.
  if (headers['authorization'] !== undefined) headers['authorization'] = headers['authorization'].trim();
  return { material: { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }, headers };
}

function isSame(a: Material, b: Material): boolean {
  return (
    same(a.ca, b.ca) &&
    same(a.cert, b.cert) &&
    same(a.key, b.key) &&
    same(a.pfx, b.pfx) &&
    a.passphrase === b.passphrase &&
    a.rejectUnauthorized === b.rejectUnauthorized &&
    a.servername === b.servername
  );
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b));
}

function createPool(
  kubeConfig: KubeConfig,
  material: Material,
  interceptors: readonly Dispatcher.DispatcherComposeInterceptor[],
): Dispatcher {
  const wanted = kubeConfig.createDispatcherOptions(kubeConfig.getCurrentCluster(), material);
  const pool = wanted.type === 'proxy' || wanted.type === 'socks' ? viaProxy(wanted) : direct(wanted);
  return interceptors.length === 0 ? pool : pool.compose([...interceptors]);
}

type Wanted = ReturnType<KubeConfig['createDispatcherOptions']>;

function viaProxy(wanted: Extract<Wanted, { type: 'proxy' | 'socks' }>): Dispatcher {
  // node:tls and undici name the same options, but differ in whether they may be undefined.
  const requestTls = wanted.requestTls as NonNullable<ProxyAgent.Options['requestTls']>;
  if (wanted.type === 'proxy') return new ProxyAgent({ ...poolOptions, uri: wanted.uri, requestTls });
  return new Socks5ProxyAgent(wanted.uri, { ...poolOptions, requestTls });
}

function direct(wanted: Extract<Wanted, { type: 'agent' | 'none' }>): Dispatcher {
  if (wanted.type === 'none') return new Agent(poolOptions);
  // As above.
  return new Agent({ ...poolOptions, connect: wanted.connect as NonNullable<Agent.Options['connect']> });
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength) throw new RangeError('an event of the watch is too long');
    for (const line of lines) if (line !== '') yield line;
  }
}
