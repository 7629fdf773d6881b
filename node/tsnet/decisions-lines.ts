/**
 * The decision channel's messages as lines, and back: JSON, and fields for what each request needs, which are read sooner.
 */
import {
  type AskMessage,
  type DecisionAnswer,
  type DecisionMessage,
  type EndedMessage,
  type ForwardMessage,
  jsonMessage,
} from './decisions-protocol.ts';

const separator = '\x1f';

/** Undefined for a line that is no message. */
export function readDecisionLine(line: string): DecisionMessage | undefined {
  if (line.startsWith('{')) return readJson(line);
  const fields = line.split(separator);
  return fields[0] === 'ask' ? readAsk(fields) : fields[0] === 'ended' ? readEnded(fields) : undefined;
}

/** With its end. Throws for a field that would be taken for two. */
export function writeDecisionLine(message: DecisionAnswer): string {
  return message.type === 'forward' ? writeForward(message) : `${JSON.stringify(message)}\n`;
}

/** The parser's own error would quote the line, and there are credentials in it. */
function readJson(line: string): DecisionMessage | undefined {
  try {
    return jsonMessage.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function readAsk(fields: readonly string[]): AskMessage | undefined {
  const [type, connection = '', request = '', hasBody = '', version, method, target, ...headers] = fields;
  if (
    type !== 'ask' ||
    version === undefined ||
    method === undefined ||
    target === undefined ||
    headers.length % 2 !== 0
  )
    return undefined;
  if (!isNumber(connection) || !isNumber(request) || !isFlag(hasBody)) return undefined;
  const [from, number] = [Number(connection), Number(request)];
  return from === 0 || number === 0
    ? undefined
    : { type, connection: from, request: number, hasBody: hasBody === '1', version, method, target, headers };
}

function readEnded(fields: readonly string[]): EndedMessage | undefined {
  const [type, request = '', status = '', sent = '', received = ''] = fields;
  const isWhole = fields.length === 5 && [request, status, sent, received].every(isNumber);
  if (type !== 'ended' || !isWhole) return undefined;
  return {
    type,
    request: Number(request),
    status: Number(status),
    sentBytes: Number(sent),
    receivedBytes: Number(received),
  };
}

function writeForward(message: ForwardMessage): string {
  const { request, tellBegun, close, withCookies, path, pool, added, headers } = message;
  const fields = [
    'forward',
    String(request),
    flag(tellBegun),
    flag(close),
    flag(withCookies),
    path,
    pool,
    String(added.length),
  ];
  fields.push(...added, ...headers);
  for (const field of fields) if (!isPlain.test(field)) throw new Error('a field of a decision is not plain');
  return `${fields.join(separator)}\n`;
}

/** What a header may hold, a character for each byte; separators and line ends are not. */
const isPlain = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Digits alone, exact as a JavaScript number. */
function isNumber(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function isFlag(text: string): boolean {
  return text === '0' || text === '1';
}

function flag(is: boolean): string {
  return is ? '1' : '0';
}
