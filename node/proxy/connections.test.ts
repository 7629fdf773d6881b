import test from 'ava';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Connections } from './connections.ts';

/** What Connections looks at, and no more. */
function exchange(socket: object, complete: boolean) {
  const res = new EventEmitter();
  return { req: { socket, complete } as IncomingMessage, res: res as ServerResponse };
}

test('a request is heeded when the answer to the one before is over', (t) => {
  const connections = new Connections();
  const socket = { writableEnded: false };
  const first = exchange(socket, true);
  t.true(connections.begin(first.req, first.res));
  const second = exchange(socket, true);
  t.false(connections.begin(second.req, second.res));
  second.res.emit('close');
  t.true(connections.isBusy(first.req.socket));
  first.res.emit('close');
  t.true(connections.begin(second.req, second.res));
});

for (const [title, socket, complete] of [
  ['a request that was never read to its end', { writableEnded: false }, false],
  ['an answer that is the last', { writableEnded: true }, true],
] as const) {
  test(`nothing is heeded behind ${title}`, (t) => {
    const connections = new Connections();
    const { req, res } = exchange(socket, complete);
    t.true(connections.begin(req, res));
    res.emit('close');
    t.true(connections.isBusy(req.socket));
    t.false(connections.begin(req, res));
  });
}

test('connections are told apart', (t) => {
  const connections = new Connections();
  const one = exchange({}, true);
  const other = exchange({}, true);
  t.true(connections.begin(one.req, one.res));
  t.true(connections.begin(other.req, other.res));
});
