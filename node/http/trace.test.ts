import test from 'ava';
import { paths } from './contract.ts';
import type { HttpTrace, TracedCall } from './deps.ts';
import { createFixture } from '../testing/http.ts';

interface Recorded {
  readonly call: TracedCall;
  readonly status: number;
  readonly requestId: string;
  readonly steps: readonly unknown[];
}

function recorder(): { readonly trace: HttpTrace; readonly recorded: Recorded[] } {
  const recorded: Recorded[] = [];
  const steps: unknown[] = [];
  return {
    recorded,
    trace: {
      async request(call, work, answered) {
        await work();
        recorded.push({ call, ...answered(), steps: steps.splice(0) });
      },
      async step(name, work, attributesOf) {
        const result = await work();
        steps.push([name, attributesOf(result)]);
        return result;
      },
    },
  };
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('a call is a span with its route, its answer and its ID, and the grant a step of it', async (t) => {
  const { trace, recorded } = recorder();
  await using fixture = await createFixture({ deps: { trace } });
  await fixture.call('POST', paths.login, { headers: { traceparent } });
  await fixture.call('GET', `${paths.kubeconfig}?session=alice@example.com`);
  await fixture.call('GET', '/alice@example.com');
  t.deepEqual(recorded, [
    {
      call: { method: 'POST', route: paths.login, traceparent },
      status: 202,
      requestId: 'request-1',
      steps: [['grant', { 'tka.role': 'view', 'tka.period_seconds': 3600 }]],
    },
    {
      call: { method: 'GET', route: paths.kubeconfig, traceparent: '' },
      status: 404,
      requestId: 'request-1',
      steps: [],
    },
    { call: { method: 'GET', route: undefined, traceparent: '' }, status: 404, requestId: 'request-1', steps: [] },
  ]);
  t.notRegex(JSON.stringify(recorded), /alice/);
});

test('a connection from outside the tailnet cannot request a trace', async (t) => {
  const { trace, recorded } = recorder();
  await using fixture = await createFixture({ connection: 'none', deps: { trace } });
  await fixture.call('POST', paths.login, { headers: { traceparent } });
  t.like(recorded[0], { status: 403, call: { traceparent: '' } });
});
