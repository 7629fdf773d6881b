/** What an answer says: its JSON, checked against the contract's schemas, or the error that it is. */
import { exitCodes, PassingError, RefusedError, UnreachableError, UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import type { Answer, Transport } from './transport.ts';

/** The answer is not from a tka server, or from one without such a call. */
export class NotTkaError extends UserError {
  readonly status: number;

  constructor(status: number, message: string, advice: readonly string[]) {
    super(message, advice, exitCodes.unreachable);
    this.name = 'NotTkaError';
    this.status = status;
  }
}

export interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } };
}

/** The word of a proxy, not of a server: tka's own errors are JSON. */
export function isGatewayError(answer: Answer): boolean {
  return (answer.status === 502 || answer.status === 504) && parse(answer) === undefined;
}

/** The answer's JSON; throws where it is an error, or no answer of tka's. */
export async function checked({ server }: Transport, answer: Answer): Promise<{ value: unknown }> {
  const value = parse(answer);
  if (answer.status < 400) {
    if (value === undefined && answer.status !== 202) throw notTka(server, answer);
    return { value };
  }
  const { errorResponseSchema } = await import('../../node/http/contract.ts');
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

function notTka(server: URL, answer: Answer): UserError {
  if (isGatewayError(answer)) {
    return new PassingError(`a proxy on the way cannot reach ${server.origin} (status ${answer.status})`, [
      'See that the server runs, and that HTTP_PROXY and NO_PROXY name the proxy into your tailnet.',
    ]);
  }
  if (answer.status === 400 && /HTTP request to an HTTPS server/i.test(answer.text)) {
    return new UnreachableError(`${server.origin} speaks TLS on this port, not plain HTTP`, [
      `Name it with https: --server https://${server.host}`,
    ]);
  }
  const type = printable(answer.headers['content-type'] ?? 'no content type', 80);
  return new NotTkaError(answer.status, `${server.origin} is not a tka server (status ${answer.status}, ${type})`, [
    'Check the name of the server, and that no proxy or captive portal answers in its place.',
  ]);
}

export function decode<T>({ server }: Transport, schema: Schema<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined ? '' : ` (${printable([...issue.path, issue.message].join(' '), 120)})`;
  throw new UserError(`the answer of ${server.origin} was not understood${where}`, [
    'The command and the server may be too far apart in age: compare them with `tka version`.',
  ]);
}

/** Between 100 ms and 10 s, whatever the server asks for. */
export function retryAfterMs(answer: Answer): number {
  const seconds = Number(answer.headers['retry-after'] ?? 1);
  return Math.min(10_000, Math.max(100, Number.isFinite(seconds) ? seconds * 1000 : 1000));
}
