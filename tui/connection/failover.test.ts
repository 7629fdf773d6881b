import test from 'ava';
import { createFailover, type Replica } from './failover.ts';
import { UnreachableError, UserError } from '../errors.ts';
import type { Answer, Exchange, Transport } from '../api/transport.ts';

type Behaviour = number | 'unreachable' | 'silent' | 'broken' | ((signal: AbortSignal) => Promise<Answer>);

interface Fake extends Replica {
  behaviour: Behaviour;
  readonly asked: string[];
  /** Exchanges that were given up. */
  aborted: number;
  closed: boolean;
}

function fake(name: string, behaviour: Behaviour): Fake {
  const server = `http://${name}`;
  const send = ({ path, signal }: Exchange): Promise<Answer> => {
    replica.asked.push(path);
    signal.addEventListener('abort', () => (replica.aborted += 1));
    const { behaviour: now } = replica;
    if (typeof now === 'function') return now(signal);
    if (now === 'unreachable') return Promise.reject(new UnreachableError(`${server} is away`, []));
    if (now === 'broken') return Promise.reject(new UserError(`${server} sent nonsense`));
    if (now === 'silent')
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))));
    return Promise.resolve({ status: now, headers: {}, text: name });
  };
  const replica: Fake = {
    server,
    behaviour,
    asked: [],
    aborted: 0,
    closed: false,
    open: () =>
      Promise.resolve<Transport>({ server: new URL(server), send, close: () => void (replica.closed = true) }),
  };
  return replica;
}

function setup(first: Behaviour, second: Behaviour) {
  const [a, b] = [fake('tka-0', first), fake('tka-1', second)];
  const moved: string[] = [];
  const transport = createFailover({
    server: new URL('http://tka-0'),
    replicas: [a, b],
    onMove: (server) => moved.push(server),
    patienceMs: 1,
  });
  const send = (more: Partial<Exchange> = {}): Promise<Answer> =>
    transport.send({ method: 'GET', path: '/x', timeoutMs: 1000, signal: new AbortController().signal, ...more });
  return { a, b, moved, transport, send };
}

test('the first that answers is asked alone, again and again', async (t) => {
  const { a, b, moved, send } = setup(200, 200);
  t.is((await send()).text, 'tka-0');
  t.is((await send()).text, 'tka-0');
  t.deepEqual([a.asked.length, b.asked.length, moved], [2, 0, []]);
});

const away: readonly Behaviour[] = ['unreachable', 502, 503, 504];
for (const behaviour of away) {
  test(`one that is away (${String(behaviour)}) is passed over, and the other is asked first from then on`, async (t) => {
    const { a, b, moved, send } = setup(behaviour, 200);
    t.is((await send({ isRepeatable: false })).text, 'tka-1');
    t.is((await send()).text, 'tka-1');
    t.deepEqual([a.asked.length, b.asked.length, moved], [1, 2, ['http://tka-1']]);
    b.behaviour = 'unreachable';
    a.behaviour = 200;
    t.is((await send()).text, 'tka-0');
    t.deepEqual(moved, ['http://tka-1'], 'the move is reported once, the way back is not');
  });
}

const final: readonly number[] = [200, 202, 400, 401, 403, 404, 409, 422, 429, 500];
for (const status of final) {
  test(`an answer of ${status} counts from any replica`, async (t) => {
    const { b, send } = setup(status, 200);
    t.is((await send()).status, status);
    t.is(b.asked.length, 0);
  });
}

test('where none answers, it is as if there were only the first', async (t) => {
  const unreachable = setup('unreachable', 503);
  await t.throwsAsync(unreachable.send(), { instanceOf: UnreachableError, message: 'http://tka-0 is away' });
  t.is(unreachable.b.asked.length, 1);
  const busy = setup(503, 'unreachable');
  t.is((await busy.send()).text, 'tka-0');
});

test('an answer that is not from a server is an error, and no other replica is asked', async (t) => {
  const { b, send } = setup('broken', 200);
  await t.throwsAsync(send(), { message: /nonsense/ });
  t.is(b.asked.length, 0);
});

test('one that does not answer is waited for while the other is asked too, where that does no harm', async (t) => {
  const { a, b, moved, send } = setup('silent', 200);
  t.is((await send({ isRepeatable: true })).text, 'tka-1');
  t.is(a.aborted, 1, 'the first is given up');
  t.deepEqual(moved, ['http://tka-1']);
  t.is(b.asked.length, 1);
});

test('what must not be carried out twice is asked of one, as long as it does not fail', async (t) => {
  const { a, b, send } = setup('silent', 200);
  const stop = new AbortController();
  const answer = send({ isRepeatable: false, signal: stop.signal });
  await new Promise((resolve) => setImmediate(resolve));
  a.behaviour = 200;
  stop.abort(new Error('enough'));
  await t.throwsAsync(answer);
  t.is(b.asked.length, 0);
});

test('a slow first that answers in the end counts if the other has failed meanwhile', async (t) => {
  const gate = Promise.withResolvers<Answer>();
  const { b, send } = setup(() => gate.promise, 'unreachable');
  const answer = send({ isRepeatable: true });
  while (b.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  gate.resolve({ status: 200, headers: {}, text: 'late' });
  t.is((await answer).text, 'late');
});

test('what was opened is closed', async (t) => {
  const { a, b, transport, send } = setup('unreachable', 200);
  await send();
  transport.close();
  await new Promise((resolve) => setImmediate(resolve));
  t.true(a.closed && b.closed);
});
