import test from 'ava';
import type { ExecutionContext } from 'ava';
import { type Tracing, type TracingOptions, startOtlpTracing } from './otlp.ts';
import { noTracing, tracesUrl } from './index.ts';
import type { ReceivedSpan, Receiver } from '../../testing/trace-receiver.ts';
import { startReceiver } from '../../testing/trace-receiver.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const call = { method: 'POST', route: '/api/v1alpha1/login', traceparent: '' };
const answered = () => ({ status: 200, requestId: 'r-1' });

interface Traced {
  readonly tracing: Tracing;
  readonly lines: readonly string[];
}

async function traced(url: string, options: Partial<TracingOptions> = {}): Promise<Traced> {
  const lines: string[] = [];
  const note = (line: object | string, message?: string): void =>
    void lines.push(message ?? (typeof line === 'string' ? line : ''));
  const tracing = startOtlpTracing({
    url,
    sampleRatio: 1,
    version: '1.2.3',
    log: { info: note, warn: note },
    random: () => 0.5,
    now: () => performance.now(),
    delayMs: 5,
    ...options,
  });
  return { tracing, lines };
}

async function received(
  t: ExecutionContext,
  work: (tracing: Tracing) => Promise<unknown>,
  options: Partial<TracingOptions> = {},
): Promise<Receiver> {
  const receiver = await startReceiver();
  t.teardown(() => receiver[Symbol.asyncDispose]());
  const { tracing } = await traced(`http://127.0.0.1:${receiver.port}/v1/traces`, options);
  await work(tracing);
  await tracing.stop();
  return receiver;
}

const named = ({ spans }: Receiver, name: string): ReceivedSpan => {
  const span = spans.find((one) => one.name === name);
  if (span === undefined) throw new Error(`no span ${name} in ${spans.map((one) => one.name).join()}`);
  return span;
};

const login = async ({ http, reconciler }: Tracing, traceparent = ''): Promise<void> => {
  const passing = Promise.withResolvers<void>();
  // The queue's own loop, begun before anybody called.
  const queue = passing.promise.then(async () => await reconciler.pass('alice-1', () => Promise.resolve(undefined)));
  await http.request(
    { ...call, traceparent },
    async () => {
      await http.step(
        'grant',
        () => 'view',
        (role) => ({ 'tka.role': role }),
      );
      reconciler.follow('alice-1');
      await reconciler.step('store', () => Promise.resolve());
      passing.resolve();
      await queue;
      await reconciler.step('usable', async () => await reconciler.step('token', () => Promise.resolve()));
    },
    answered,
  );
};

test('a login is one trace, from the request to the credential that works', async (t) => {
  const receiver = await received(t, login);
  const root = named(receiver, 'POST /api/v1alpha1/login');
  t.deepEqual(receiver.spans.map(({ name }) => name).sort(), [
    'POST /api/v1alpha1/login',
    'grant',
    'reconcile',
    'store',
    'token',
    'usable',
  ]);
  t.true(receiver.spans.every((span) => span.traceId === root.traceId));
  t.is(root.parentSpanId, '');
  for (const name of ['grant', 'store', 'reconcile', 'usable']) t.is(named(receiver, name).parentSpanId, root.spanId);
  t.is(named(receiver, 'token').parentSpanId, named(receiver, 'usable').spanId);
  t.is(root.service, 'tka-server');
  t.deepEqual(root.attributes, {
    'http.request.method': 'POST',
    'http.route': '/api/v1alpha1/login',
    'http.response.status_code': 200,
    'tka.request_id': 'r-1',
  });
  t.deepEqual(named(receiver, 'grant').attributes, { 'tka.role': 'view' });
  t.notRegex(receiver.bodies.join(), /alice/);
});

test("a caller's trace is continued", async (t) => {
  const receiver = await received(t, (tracing) => login(tracing, `00-${traceId}-${parentId}-01`));
  t.like(named(receiver, 'POST /api/v1alpha1/login'), { traceId, parentSpanId: parentId });
  t.like(named(receiver, 'reconcile'), { traceId });
});

for (const traceparent of ['', 'x', `00-${'0'.repeat(32)}-${parentId}-01`, `00-${traceId}-${parentId}-01-more`]) {
  test(`what names no trace begins one: ${traceparent}`, async (t) => {
    const receiver = await received(t, (tracing) => login(tracing, traceparent));
    t.not(named(receiver, 'grant').traceId, traceId);
    t.regex(named(receiver, 'grant').traceId, /^(?!0{32})[0-9a-f]{32}$/);
  });
}

test('callers who ask for it are traced only as often as the limit lets them', async (t) => {
  const work = async (tracing: Tracing): Promise<void> => {
    for (let i = 0; i < 100; i += 1) await login(tracing, `00-${traceId}-${parentId}-01`);
  };
  const { spans } = await received(t, work, { sampleRatio: 0, now: () => 0 });
  t.is(spans.filter(({ name }) => name === 'grant').length, 60);
});

test('what fails is marked, without its message', async (t) => {
  const receiver = await received(t, async ({ http, reconciler }) => {
    const failing = http.request(
      call,
      async () => await reconciler.step('store', () => Promise.reject(new RangeError('alice@example.com'))),
      answered,
    );
    await t.throwsAsync(failing, { instanceOf: RangeError });
    await http.request(
      call,
      () => Promise.resolve(),
      () => ({ status: 503, requestId: 'r-2' }),
    );
    await http.request(
      call,
      () => Promise.resolve(),
      () => ({ status: 403, requestId: 'r-3' }),
    );
  });
  t.like(named(receiver, 'store'), { hasFailed: true, attributes: { 'error.type': 'RangeError' } });
  const byId = (id: string) => receiver.spans.find(({ attributes }) => attributes['tka.request_id'] === id)?.hasFailed;
  t.true(byId('r-2'));
  t.false(byId('r-3'));
  t.notRegex(receiver.bodies.join(), /alice/);
});

test('a pass that no login waits for is not traced, nor one a minute late, nor one after it has succeeded', async (t) => {
  let now = 0;
  const work = async ({ http, reconciler }: Tracing): Promise<void> => {
    const pass = async (): Promise<void> => await reconciler.pass('a', () => Promise.resolve());
    const follow = (): Promise<void> => http.request(call, () => Promise.resolve(reconciler.follow('a')), answered);
    await pass();
    await follow();
    await pass();
    await pass();
    await follow();
    now += 60_000;
    await pass();
  };
  const { spans } = await received(t, work, { now: () => now });
  t.is(spans.filter(({ name }) => name === 'reconcile').length, 1);
});

test('a pass that fails is a span, and so is the one that succeeds after it', async (t) => {
  const receiver = await received(t, async ({ http, reconciler }) => {
    await http.request(call, () => Promise.resolve(reconciler.follow('a')), answered);
    await t.throwsAsync(reconciler.pass('a', () => Promise.reject(new Error('away'))));
    await reconciler.pass('a', () => Promise.resolve());
  });
  const passes = receiver.spans.filter(({ name }) => name === 'reconcile');
  t.deepEqual(
    passes.map(({ hasFailed }) => hasFailed),
    [true, false],
  );
});

test('a receiver that is away changes nothing but one line in the log', async (t) => {
  const receiver = await startReceiver();
  await receiver[Symbol.asyncDispose]();
  const { tracing, lines } = await traced(`http://user:secret@127.0.0.1:${receiver.port}/v1/traces`, {
    timeoutMs: 200,
  });
  for (let i = 0; i < 3; i += 1) await login(tracing);
  await tracing.stop();
  t.deepEqual(lines, ['traces are sent', 'traces cannot be sent and are dropped; nothing else hangs on them']);
});

test('without tracing, work runs as it is', async (t) => {
  await login(noTracing);
  await t.throwsAsync(
    noTracing.reconciler.pass('a', () => Promise.reject(new Error('x'))),
    { message: 'x' },
  );
});

const places: readonly [endpoint: string, source: string, url: string][] = [
  ['http://collector:4318', 'file x', 'http://collector:4318/v1/traces'],
  ['http://collector:4318/', 'environment OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:4318/v1/traces'],
  ['https://c/otlp', 'flag --tracing-endpoint', 'https://c/otlp/v1/traces'],
  ['https://c/spans', 'environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'https://c/spans'],
];
for (const [endpoint, source, url] of places) {
  test(`${endpoint} by ${source} is ${url}`, (t) => {
    t.is(tracesUrl(endpoint, source), url);
  });
}
