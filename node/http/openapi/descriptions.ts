/**
 * The description of each call: parameters, answers and schemas, of which document.ts makes OpenAPI. Answers that every call may give are
 * in `everyCall` and not repeated.
 */
import type { OperationId } from '../operations.ts';
import type { SchemaName } from './schemas.ts';

export interface Answer {
  readonly description: string;
  /** Absent: an Error. */
  readonly content?: Readonly<Record<string, readonly SchemaName[]>>;
  /** Names of `headers`. */
  readonly headers?: readonly HeaderName[];
}

export interface OperationDescription {
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly ParameterName[];
  readonly request?: SchemaName;
  readonly answers: Readonly<Record<number, Answer>>;
}

export const headers = {
  'X-Request-Id': 'Names this request in the log of the server.',
  'Retry-After': 'Seconds after which the same call may be answered otherwise.',
  'Preference-Applied': 'The `wait` that was heeded.',
  Vary: 'The form hangs on the Accept header.',
} as const;
export type HeaderName = keyof typeof headers;

export const parameters = {
  prefer: {
    name: 'Prefer',
    in: 'header',
    description:
      '`wait=N` (RFC 7240): answer 200 as soon as the session can be used, within N seconds, at most 60; else 202.',
    schema: { type: 'string' },
    example: 'wait=20',
  },
  traceparent: {
    name: 'traceparent',
    in: 'header',
    description: 'W3C Trace Context: where the server traces, the call becomes a part of that trace.',
    schema: { type: 'string' },
  },
  session: {
    name: 'session',
    in: 'query',
    description: 'Name of the session. Absent: the one that a login without a wish would pick, else the newest.',
    schema: { type: 'string', maxLength: 63 },
  },
  mode: {
    name: 'mode',
    in: 'query',
    description:
      "How the kubeconfig reaches the cluster: through tka, or straight to the API server. Absent: `direct` where the API server's address is known, else `proxy`.",
    schema: { type: 'string', enum: ['direct', 'proxy'] },
  },
  root: {
    name: 'root',
    in: 'query',
    description:
      "Of `mode=proxy`: whether the URL of the kubeconfig's cluster has no path, as clients need that leave a path out. Absent or `false`: its path is `/k8s`, as released clients know it. A server that does not know the parameter gives that too.",
    schema: { type: 'string', enum: ['true', 'false'] },
  },
} as const;
export type ParameterName = keyof typeof parameters;

/** Answers that any call may give before its route is reached, or when something is away. */
export const everyCall: Readonly<Record<number, Answer>> = {
  400: { description: 'Invalid request: its target, its query or its body.' },
  403: {
    description:
      'Refused: the node (Funnel, shared in, expired, a router, unknown), or a web page of another origin, or what is asked for is not granted.',
  },
  421: { description: 'The Host is not a name of this server.' },
  500: { description: 'A bug in tka: the log has the details under the request’s ID.' },
  503: { description: 'The tailnet node or the API server is away.', headers: ['Retry-After'] },
};

const json = (schema: SchemaName) => ({ 'application/json': [schema] });
const withBody: Readonly<Record<number, Answer>> = {
  408: { description: 'The body took too long.' },
  413: { description: 'The body has more than 16 KiB.' },
  415: { description: 'The body is not of type application/json.' },
};
const pending: Answer = {
  description: 'The session is stored and being provisioned: ask again.',
  content: json('Session'),
  headers: ['Retry-After'],
};
const notLoggedIn: Answer = { description: 'The caller has no session.' };
const noSuchSession: Answer = { description: 'The caller has no session of that name.' };
const ending: Answer = { description: 'The session is about to end: log in again.' };
const impossible: Answer = { description: 'The session cannot be provisioned, or what is asked for is not offered.' };

export const descriptions: Readonly<Record<OperationId, OperationDescription>> = {
  login: {
    summary: 'Log in',
    description:
      'Stores a session for the caller by one rule that the tailnet policy grants: the one of the highest priority, or of the highest that gives the role asked for. Logging in again moves the end of the session. A `period` may be shorter than the rule’s, never longer.',
    parameters: ['prefer', 'traceparent'],
    request: 'LoginRequest',
    answers: {
      200: {
        description: 'The session can be used. Only with `Prefer: wait`.',
        content: json('Session'),
        headers: ['Preference-Applied'],
      },
      202: pending,
      ...withBody,
      404: { description: 'The session ended while it was waited for.' },
      409: ending,
      422: {
        description:
          'The wish or the rule cannot be honoured: a period under 10 minutes or over the rule’s, a role or namespace that does not exist, a role that tka may not bind.',
      },
      429: { description: 'Too many logins, or too many sessions.', headers: ['Retry-After'] },
    },
  },
  loginStatus: {
    summary: 'Ask for a session',
    description: 'Whether the caller is logged in, and whether the session can be used yet.',
    parameters: ['session', 'prefer', 'traceparent'],
    answers: {
      200: {
        description: 'The session is ready; with `Prefer: wait`, seen to work.',
        content: json('Session'),
      },
      202: pending,
      401: notLoggedIn,
      404: noSuchSession,
      409: ending,
      422: impossible,
    },
  },
  kubeconfig: {
    summary: 'Get a kubeconfig',
    description:
      'With a token that works for as long as the session. `application/yaml` and `*/*` get YAML, `application/json` gets JSON, both kubeconfig v1; no Accept header gets the form that released clients decode.',
    parameters: ['session', 'mode', 'root'],
    answers: {
      200: {
        description: 'The kubeconfig.',
        content: { 'application/json': ['Kubeconfig', 'KubeconfigMaps'], 'application/yaml': ['Kubeconfig'] },
        headers: ['Vary'],
      },
      202: pending,
      401: notLoggedIn,
      404: noSuchSession,
      406: { description: 'None of the accepted types is offered.' },
      409: ending,
      422: impossible,
    },
  },
  logout: {
    summary: 'Log out',
    description:
      'Ends the session that the body names, else all of the caller’s, and answers when their access is gone. A caller without any is answered 200 too, with an empty `until`.',
    request: 'LogoutRequest',
    answers: {
      200: { description: 'The session that ended.', content: json('Session') },
      ...withBody,
    },
  },
  whoami: {
    summary: 'Who the caller is',
    description:
      'The caller’s identity, the rules that hold for it, and rules that were dropped, each with its reason.',
    answers: { 200: { description: 'The caller.', content: json('Whoami') } },
  },
  sessions: {
    summary: 'List the caller’s sessions',
    description: 'Live ones, the newest first.',
    answers: { 200: { description: 'The sessions.', content: json('Sessions') } },
  },
  clusterInfo: {
    summary: 'Where the API server is',
    description: 'And how to trust it. 503 where tka was not told.',
    answers: { 200: { description: 'The cluster.', content: json('ClusterInfo') } },
  },
  wellKnown: {
    summary: 'What discovery reads',
    description: 'Name, labels and version of this server, and the ways to the cluster that it offers.',
    answers: { 200: { description: 'This server.', content: json('WellKnown') } },
  },
  openapi: {
    summary: 'This description',
    description: 'OpenAPI 3.1. On the health port it is there too, and as a page for people at `/docs`.',
    answers: { 200: { description: 'The description.', content: json('OpenApi') } },
  },
};
