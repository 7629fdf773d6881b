/**
 * The calls of a tka server, typed. Answers are checked against the contract, what people will read is made printable,
 * and refusals become RefusedError with the server's own advice.
 *
 * The contract's schemas load while the first request is under way: they cost more than most of the command.
 */
import type {
  ClusterInfo,
  LoginRequest,
  LoginResponse,
  LogoutRequest,
  Mode,
  paths,
  SessionsResponse,
  WellKnown,
  WhoamiResponse,
} from '../../node/http/contract.ts';
import { RefusedError, UserError } from '../errors.ts';
import { checked, decode, isGatewayError, type NotTkaError, retryAfterMs, type Schema } from './answer.ts';
import { type Answer, type Exchange, type Transport } from './transport.ts';

/** `pending`: ask again after so many milliseconds; `value` is what is known by then. */
export type Eventually<T> =
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'pending'; readonly retryAfterMs: number; readonly value?: T | undefined };

/** A tka of before this API: the Go server. It opens sessions that this command can neither name nor use. */
export class OlderServerError extends UserError {
  constructor(server: string, cause?: unknown) {
    const advice = [
      'Use the command that came with it, or have the server upgraded: see "From the Go tka" in docs/upgrade.md.',
      'This command leaves no session open there; `tka cluster-info` and `tka logout` work with it.',
    ];
    super(`${server} runs an older tka, such as the Go server, which this command cannot use`, advice, 1, cause);
    this.name = 'OlderServerError';
  }
}

/** Another error where it is an older tka that has no such call; `api` is asked for what each of them has. */
export async function explainAbsent(
  api: Api,
  server: string,
  error: NotTkaError,
  signal: AbortSignal,
): Promise<UserError> {
  try {
    await api.clusterInfo({ signal, timeoutMs: 2000 });
  } catch (answer) {
    signal.throwIfAborted();
    // It says no in tka's own words.
    if (!(answer instanceof RefusedError) || answer.status === 404) return error;
  }
  return new OlderServerError(server, error);
}

/** What a server says of itself, without the modes that this command does not know. */
export type ServerFacts = Omit<WellKnown, 'modes'> & { readonly modes: readonly Mode[] };

export interface Api {
  /** Where the server waits, the answer comes as soon as the session is usable. */
  login(request: LoginRequest, options: CallOptions & Waiting): Promise<Eventually<LoginResponse>>;
  /** Without a session: the default role's session, else the newest. */
  loginStatus(
    query: { readonly session?: string | undefined },
    options: CallOptions & Waiting,
  ): Promise<Eventually<LoginResponse>>;
  /** The kubeconfig as the server has it, not to be trusted with anything. */
  kubeconfig(query: KubeconfigQuery, options: CallOptions): Promise<Eventually<unknown>>;
  /** Whether there was a session to end, as far as the server says. */
  logout(request: LogoutRequest, options: CallOptions): Promise<boolean>;
  sessions(options: CallOptions): Promise<SessionsResponse>;
  whoami(options: CallOptions): Promise<WhoamiResponse>;
  clusterInfo(options: CallOptions): Promise<ClusterInfo>;
  wellKnown(options: CallOptions): Promise<ServerFacts>;
  /** What the server's clock said in its last answer, to the second; undefined before the first. */
  serverDate(): Date | undefined;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** Work to do while the server thinks. */
  readonly meanwhile?: () => Promise<unknown>;
}

export interface Waiting {
  /** How long the server may wait before it answers that it is not done; default: not at all. */
  readonly waitSeconds?: number;
}

interface KubeconfigQuery {
  readonly session?: string | undefined;
  readonly mode?: Mode | undefined;
}

/** `traceparent`: the trace that every call shall be a part of (W3C Trace Context); an invalid one is not sent. */
export function createApi(transport: Transport, traceparent = ''): Api {
  let date: string | undefined;
  const headers = /^[0-9a-f]{2}(?:-[0-9a-f]+){3}$/.test(traceparent) ? { traceparent } : {};
  const exchange = async (request: Call, options: CallOptions): Promise<Answer & { readonly value: unknown }> => {
    const answer = await sendThroughGateway(transport, { ...request, headers }, options);
    date = answer.headers.date;
    return { ...answer, ...(await checked(transport, answer)) };
  };
  const eventually = async (request: Call, options: CallOptions): Promise<Eventually<unknown>> => {
    const answer = await exchange(request, options);
    const { status, value } = answer;
    return status === 202 ? { state: 'pending', retryAfterMs: retryAfterMs(answer), value } : { state: 'ready', value };
  };
  const session = async (answer: Eventually<unknown>): Promise<Eventually<LoginResponse>> => {
    const { loginResponseSchema } = await contract();
    if (answer.state === 'pending') return { ...answer, value: loginResponseSchema.safeParse(answer.value).data };
    return { state: 'ready', value: decode(transport, loginResponseSchema, answer.value) };
  };
  const get = async <T>(path: string, options: CallOptions, schema: (from: Contract) => Schema<T>): Promise<T> => {
    const { value } = await exchange({ method: 'GET', path }, options);
    return decode(transport, schema(await contract()), value);
  };

  return {
    async login(request, options) {
      return session(
        await eventually({ method: 'POST', path: loginPath, body: request, ...preferring(options) }, waiting(options)),
      );
    },
    async loginStatus(query, options) {
      const path = withQuery(loginPath, query);
      return session(await eventually({ method: 'GET', path, ...preferring(options) }, waiting(options)));
    },
    // An older server does not know `root`, and answers with the path below which it has the Kubernetes API.
    kubeconfig: (query, options) =>
      eventually({ method: 'GET', path: withQuery(kubeconfigPath, query, query.mode !== 'direct') }, options),
    async logout(request, options) {
      const { value } = await exchange({ method: 'POST', path: logoutPath, body: request }, options);
      return !(typeof value === 'object' && value !== null && 'until' in value && value.until === '');
    },
    sessions: (options) => get(sessionsPath, options, (from) => from.sessionsResponseSchema),
    whoami: (options) => get(whoamiPath, options, (from) => from.whoamiResponseSchema),
    clusterInfo: (options) => get(clusterInfoPath, options, (from) => from.clusterInfoSchema),
    async wellKnown(options) {
      const facts = await get(wellKnownPath, options, (from) => from.wellKnownSchema);
      return { ...facts, modes: facts.modes.filter(isMode) };
    },
    serverDate() {
      const ms = Date.parse(date ?? '');
      return Number.isNaN(ms) ? undefined : new Date(ms);
    },
  };
}

// Typed by the contract, which these keep in step without loading it.
const loginPath: typeof paths.login = '/api/v1alpha1/login';
const logoutPath: typeof paths.logout = '/api/v1alpha1/logout';
const kubeconfigPath: typeof paths.kubeconfig = '/api/v1alpha1/kubeconfig';
const sessionsPath: typeof paths.sessions = '/api/v1alpha1/sessions';
const whoamiPath: typeof paths.whoami = '/api/v1alpha1/whoami';
const clusterInfoPath: typeof paths.clusterInfo = '/api/v1alpha1/cluster-info';
const wellKnownPath: typeof paths.wellKnown = '/.well-known/tka';

const defaultTimeoutMs = 15_000;
const contract = () => import('../../node/http/contract.ts');
type Contract = Awaited<ReturnType<typeof contract>>;

interface Call extends Pick<Exchange, 'method' | 'path' | 'headers'> {
  readonly body?: object;
  readonly prefer?: string;
}

function isMode(text: string): text is Mode {
  return text === 'direct' || text === 'proxy';
}

function withQuery(path: string, { mode, session }: KubeconfigQuery, atRoot = false): string {
  const query = new URLSearchParams();
  if (mode !== undefined) query.set('mode', mode);
  if (session !== undefined) query.set('session', session);
  if (atRoot) query.set('root', 'true');
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

function preferring({ waitSeconds = 0 }: Waiting): { readonly prefer?: string } {
  return waitSeconds > 0 ? { prefer: `wait=${waitSeconds}` } : {};
}

function waiting({ waitSeconds = 0, ...options }: CallOptions & Waiting): CallOptions {
  return { ...options, timeoutMs: options.timeoutMs ?? defaultTimeoutMs + waitSeconds * 1000 };
}

/**
 * A proxy on the way, such as a tailscaled in userspace mode, may hold a connection to a server that has been started
 * again since, and answers 502 once for each. Every call here may be repeated: a login is the same session again.
 * All of it takes no longer than the call may.
 */
async function sendThroughGateway(transport: Transport, call: Call, options: CallOptions): Promise<Answer> {
  const end = performance.now() + (options.timeoutMs ?? defaultTimeoutMs);
  const left = (): number => Math.max(1, end - performance.now());
  for (const pauseMs of [100, 400, 1000]) {
    const answer = await send(transport, call, { ...options, timeoutMs: left() });
    if (!isGatewayError(answer) || left() <= pauseMs) return answer;
    await pause(pauseMs, options.signal);
  }
  return send(transport, call, { ...options, timeoutMs: left() });
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
  const { method, path, body = {}, prefer, headers } = call;
  const hasBody = Object.keys(body).length > 0;
  const answer = transport.send({
    method,
    path,
    ...(hasBody ? { body: JSON.stringify(body) } : {}),
    headers: {
      ...headers,
      accept: 'application/json',
      ...(prefer === undefined ? {} : { prefer }),
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
    },
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    signal: options.signal,
    // The second of two logouts says that there was nothing to end, and does not wait for the end.
    isRepeatable: path !== logoutPath,
    onSent,
  });
  const meanwhile = Promise.race([sent, answer.then(() => {})]).then(options.meanwhile);
  const [result] = await Promise.all([answer, meanwhile]);
  return result;
}
