/**
 * Node's end of a decision channel: what the engine asks goes to the decider, with the connection it came on; what the
 * decider says goes back. When the channel ends, every request on it has ended, and no answer of an old one reaches a new one.
 */
import type { Socket } from 'node:net';
import { type AskMessage, type DecisionAnswer, type OpenedMessage } from './decisions-protocol.ts';
import { readDecisionLine, writeDecisionLine } from './decisions-lines.ts';
import type { AskedRequest, Decider, ForwardingEngine, ForwardSettings, OwnAnswer, RequestEvents } from './decider.ts';
import { createLineReader } from './lines.ts';
import type { NodeOptions } from './node.ts';
import type { TailnetConnection } from './peer.ts';
import { MAX_LINE } from './protocol.ts';

export interface DecisionsDependencies {
  readonly decider: Decider;
  /** A connection that was opened, and how to end it. */
  readonly connectionFrom: (opened: OpenedMessage, destroy: () => void) => TailnetConnection;
  /** Told of each; returns what to call when it has closed. */
  readonly opened: (opened: OpenedMessage) => () => void;
  readonly log: NonNullable<NodeOptions['log']>;
}

/** Takes the channel's socket, after its preamble, until it ends. */
export function serveDecisions(socket: Socket, { decider, connectionFrom, opened, log }: DecisionsDependencies): void {
  const connections = new Map<number, { readonly from: TailnetConnection; readonly closed: () => void }>();
  const requests = new Map<number, RequestEvents | undefined>();
  let isCorked = false;

  const send = (message: DecisionAnswer): void => {
    if (socket.destroyed) return;
    if (!isCorked) {
      // Everything that is decided in one turn goes out in one write.
      isCorked = true;
      socket.cork();
      process.nextTick(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    socket.write(writeDecisionLine(message));
  };
  const sendAnswer = (request: number, { status, text, close }: OwnAnswer): void =>
    send({ type: 'answer', request, status, answer: text, close });
  const engine: ForwardingEngine = {
    forget: (pool) => send({ type: 'forget', pool }),
    drain: () => send({ type: 'drain' }),
  };

  const ask = ({ connection, request, version, method, target, headers, hasBody }: AskMessage): void => {
    const from = connections.get(connection)?.from;
    if (from === undefined) throw new Error('it asks for a connection that it did not open');
    requests.set(request, undefined);
    const asked: AskedRequest = {
      connection: from,
      httpVersion: version,
      method,
      target,
      rawHeaders: headers,
      hasBody,
      forward: ({ path, headers: forwarded, withCookies, pool, added, tellBegun, close }) =>
        send({ type: 'forward', request, tellBegun, close, withCookies, path, pool, added, headers: flat(forwarded) }),
      read: (most) => send({ type: 'read', request, most }),
      record: (order) => send({ type: 'record', request, ...order }),
      answer: (answer) => sendAnswer(request, answer),
      cut: ({ answer: { status, text }, inOrder, lastWord, reason }) =>
        send({ type: 'cut', request, status, answer: text, inOrder, lastWord, reason }),
    };
    decider.decide(asked, (events) => requests.set(request, events));
  };

  const take = (line: string): void => {
    const message = readDecisionLine(line);
    switch (message?.type) {
      case 'ask':
        return ask(message);
      case 'ended': {
        const events = requests.get(message.request);
        requests.delete(message.request);
        return events?.ended(message);
      }
      case 'begun':
        return requests.get(message.request)?.begun(message.status);
      case 'body':
        return requests
          .get(message.request)
          ?.body(message.body === null ? undefined : Buffer.from(message.body, 'base64'));
      case 'unrecorded':
        return requests.get(message.request)?.unrecorded(message.failure, message.reason);
      case 'failed': {
        const events = requests.get(message.request);
        log('debug', `a request was not answered by the server: ${message.reason}`);
        if (events !== undefined)
          sendAnswer(
            message.request,
            events.failed({ isSent: message.sent, isInvalid: message.invalid, reason: message.reason }),
          );
        return;
      }
      case 'moved': {
        const location = requests.get(message.request)?.moved(message.location) ?? '';
        return send({ type: 'location', request: message.request, location });
      }
      case 'opened': {
        const { connection } = message;
        const from = connectionFrom(message, () => send({ type: 'hangUp', connection }));
        connections.set(connection, { from, closed: opened(message) });
        return;
      }
      case 'closed':
        connections.get(message.connection)?.closed();
        connections.delete(message.connection);
        return;
      default:
        throw new Error('it sent a line that is no message');
    }
  };

  const lines = createLineReader(MAX_LINE, take);
  socket.on('data', (chunk: Buffer) => {
    try {
      lines.push(chunk);
    } catch (error) {
      log('error', `the engine's decision channel is given up: ${error instanceof Error ? error.message : 'unknown'}`);
      socket.destroy();
    }
  });
  socket.on('end', () => socket.destroy());
  socket.once('close', () => {
    const left = [...requests.values()];
    requests.clear();
    for (const { closed } of connections.values()) closed();
    connections.clear();
    for (const events of left) events?.ended({ status: 0, sentBytes: 0, receivedBytes: 0 });
    decider.closed(engine);
  });
  send(settingsMessage(decider.settings));
  decider.opened(engine);
}

function flat(headers: Readonly<Record<string, string>>): string[] {
  const list: string[] = [];
  for (const name in headers) list.push(name, headers[name] ?? '');
  return list;
}

function settingsMessage({ ca, serverName, insecureSkipTlsVerify, ...settings }: ForwardSettings): DecisionAnswer {
  return {
    type: 'settings',
    ...settings,
    caPem: ca ?? '',
    serverName: serverName ?? '',
    insecureSkipVerify: insecureSkipTlsVerify ?? false,
  };
}
