/**
 * The calls of a tka server, typed. Answers are checked against the contract, what people will read is made printable,
 * and refusals become RefusedError with the server's own advice.
 *
 * The contract's schemas load while the first request is under way: they cost more than most of the command.
 */
import type {
  LoginRequest,
  LoginResponse,
  LogoutRequest,
  Mode,
  paths,
  SessionsResponse,
  WellKnown,
} from '../node/http/contract.ts';
import { RefusedError, UnreachableError, UserError } from './errors.ts';
import { printable } from './output.ts';
import type { Answer, Exchange, Transport } from './transport.ts';

/** `pending`: ask again after so many milliseconds. */
export type Eventually<T> =
  { readonly state: 'ready'; readonly value: T } | { readonly state: 'pending'; readonly retryAfterMs: number };

export interface Api {
  /** Where the server waits, the answer comes as soon as the session is usable. */
  login(
    request: LoginRequest,
    options: CallOptions & { readonly waitSeconds: number },
  ): Promise<Eventually<LoginResponse>>;
  loginStatus(options: CallOptions): Promise<Eventually<LoginResponse>>;
  /** The kubeconfig as the server has it, not to be trusted with anything. */
  kubeconfig(query: KubeconfigQuery, options: CallOptions): Promise<Eventually<unknown>>;
  logout(request: LogoutRequest, options: CallOptions): Promise<void>;
  sessions(options: CallOptions): Promise<SessionsResponse>;
  wellKnown(options: CallOptions): Promise<WellKnown>;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** Work to do while the server thinks. */
  readonly meanwhile?: () => Promise<unknown>;
}

export interface KubeconfigQuery {
  readonly session?: string | undefined;
  readonly mode?: Mode | undefined;
}

export function createApi(transport: Transport): Api {
  const call = async (exchange: Call, options: CallOptions): Promise<unknown> => {
    const answer = await sendThroughGateway(transport, exchange, options);
    return (await checked(transport, answer)).value;
  };
  const eventually = async (exchange: Call, options: CallOptions): Promise<Eventually<unknown>> => {
    const answer = await sendThroughGateway(transport, exchange, options);
    const { value } = await checked(transport, answer);
    return answer.status === 202 ? { state: 'pending', retryAfterMs: retryAfterMs(answer) } : { state: 'ready', value };
  };
  const session = async (answer: Eventually<unknown>): Promise<Eventually<LoginResponse>> => {
    if (answer.state === 'pending') return answer;
    const { loginResponseSchema } = await contract();
    return { state: 'ready', value: decode(transport, loginResponseSchema, answer.value) };
  };

  return {
    async login(request, { waitSeconds, ...options }) {
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs + waitSeconds * 1000;
      const prefer = `wait=${waitSeconds}`;
      return session(
        await eventually({ method: 'POST', path: loginPath, body: request, prefer }, { ...options, timeoutMs }),
      );
    },
    async loginStatus(options) {
      return session(await eventually({ method: 'GET', path: loginPath }, options));
    },
    kubeconfig({ session: name, mode }, options) {
      const query = new URLSearchParams();
      if (mode !== undefined) query.set('mode', mode);
      if (name !== undefined) query.set('session', name);
      const search = query.size === 0 ? '' : `?${query.toString()}`;
      return eventually({ method: 'GET', path: `${kubeconfigPath}${search}` }, options);
    },
    async logout(request, options) {
      await call({ method: 'POST', path: logoutPath, body: request }, options);
    },
    async sessions(options) {
      const value = await call({ method: 'GET', path: sessionsPath }, options);
      return decode(transport, (await contract()).sessionsResponseSchema, value);
    },
    async wellKnown(options) {
      const value = await call({ method: 'GET', path: wellKnownPath }, options);
      return decode(transport, (await contract()).wellKnownSchema, value);
    },
  };
}

// Typed by the contract, which these keep in step without loading it.
const loginPath: typeof paths.login = '/api/v1alpha1/login';
const logoutPath: typeof paths.logout = '/api/v1alpha1/logout';
const kubeconfigPath: typeof paths.kubeconfig = '/api/v1alpha1/kubeconfig';
const sessionsPath: typeof paths.sessions = '/api/v1alpha1/sessions';
const wellKnownPath: typeof paths.wellKnown = '/.well-known/tka';

const defaultTimeoutMs = 15_000;
const contract = () => import('../node/http/contract.ts');

interface Call extends Pick<Exchange, 'method' | 'path'> {
  readonly body?: object;
  readonly prefer?: string;
}

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } };
}

/**
 * A proxy on the way, such as a tailscaled in userspace mode, may hold a connection to a server that has been started
 * again since, and answers 502 once for each. Every call here may be repeated: a login is the same session again.
 */
async function sendThroughGateway(transport: Transport, call: Call, options: CallOptions): Promise<Answer> {
  for (const pauseMs of [100, 400, 1000]) {
    const answer = await send(transport, call, options);
    if (!isGatewayError(answer)) return answer;
    await pause(pauseMs, options.signal);
  }
  return send(transport, call, options);
}

/** The word of a proxy, not of a server: tka's own errors are JSON. */
function isGatewayError(answer: Answer): boolean {
  return (answer.status === 502 || answer.status === 504) && parse(answer) === undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}

async function send(transport: Transport, call: Call, options: CallOptions): Promise<Answer> {
  // The request must have left before the processor is taken for anything else.
  const { promise: sent, resolve: onSent } = Promise.withResolvers<void>();
  const { method, path, body = {}, prefer } = call;
  const hasBody = Object.keys(body).length > 0;
  const answer = transport.send({
    method,
    path,
    ...(hasBody ? { body: JSON.stringify(body) } : {}),
    headers: {
      accept: 'application/json',
      ...(prefer === undefined ? {} : { prefer }),
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
    },
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    signal: options.signal,
    onSent,
  });
  const meanwhile = Promise.race([sent, answer.then(() => {})]).then(options.meanwhile);
  const [result] = await Promise.all([answer, meanwhile]);
  return result;
}

/** The answer's JSON; throws where it is an error, or no answer of tka's. */
async function checked({ server }: Transport, answer: Answer): Promise<{ value: unknown }> {
  const value = parse(answer);
  if (answer.status < 400) {
    if (value === undefined && answer.status !== 202) throw notTka(server, answer);
    return { value };
  }
  const { errorResponseSchema } = await contract();
  const result = errorResponseSchema.safeParse(value);
  if (!result.success) {
    if (answer.status === 404 || answer.status >= 500 || value === undefined) throw notTka(server, answer);
    throw new RefusedError(answer.status, undefined, `${server.origin} answered ${answer.status}`, []);
  }
  const { message, advice, code } = result.data;
  throw new RefusedError(
    answer.status,
    code,
    printable(message),
    advice.slice(0, 10).map((line) => printable(line)),
  );
}

function parse(answer: Answer): unknown {
  if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(answer.headers['content-type'] ?? '')) return undefined;
  try {
    return JSON.parse(answer.text);
  } catch {
    return undefined;
  }
}

function notTka(server: URL, answer: Answer): UnreachableError {
  if (isGatewayError(answer)) {
    return new UnreachableError(`a proxy on the way cannot reach ${server.origin} (status ${answer.status})`, [
      'See that the server runs, and that HTTP_PROXY and NO_PROXY name the proxy into your tailnet.',
    ]);
  }
  const type = printable(answer.headers['content-type'] ?? 'no content type', 80);
  return new UnreachableError(
    `what answers at ${server.origin} is not a tka server (status ${answer.status}, ${type})`,
    ['Check the name of the server, and that no proxy or captive portal answers in its place.'],
  );
}

function decode<T>({ server }: Transport, schema: Schema<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined ? '' : ` (${printable([...issue.path, issue.message].join(' '), 120)})`;
  throw new UserError(`the answer of ${server.origin} was not understood${where}`, [
    'The command and the server may be too far apart in age: compare them with `tka version`.',
  ]);
}

/** Between 100 ms and 10 s, whatever the server asks for. */
function retryAfterMs(answer: Answer): number {
  const seconds = Number(answer.headers['retry-after'] ?? 1);
  return Math.min(10_000, Math.max(100, Number.isFinite(seconds) ? seconds * 1000 : 1000));
}
