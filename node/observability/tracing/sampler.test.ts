import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import { SamplingDecision } from '@opentelemetry/sdk-trace';
import test from 'ava';
import { createSampler } from './sampler.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';

interface Case {
  readonly ratio: number;
  readonly random?: number;
  readonly parent?: 'none' | 'caller asks' | 'caller asks not' | 'own, traced' | 'own, not traced';
  readonly allows?: boolean;
  readonly sampled: boolean;
}

const cases: readonly Case[] = [
  { ratio: 1, sampled: true },
  { ratio: 0, sampled: false },
  { ratio: 0.5, random: 0.49, sampled: true },
  { ratio: 0.5, random: 0.5, sampled: false },
  { ratio: 0, parent: 'caller asks', sampled: true },
  { ratio: 0, parent: 'caller asks', allows: false, sampled: false },
  { ratio: 0, parent: 'caller asks not', sampled: false },
  { ratio: 1, parent: 'caller asks not', sampled: true },
  { ratio: 0, parent: 'own, traced', allows: false, sampled: true },
  { ratio: 1, parent: 'own, not traced', sampled: false },
];

for (const { ratio, random = 0, parent = 'none', allows = true, sampled } of cases) {
  const limit = allows ? '' : ', the limit reached';
  test(`ratio ${ratio} at ${random}, parent ${parent}${limit}: ${sampled ? '' : 'not '}traced`, (t) => {
    const sampler = createSampler({ ratio, random: () => random, allowsCaller: () => allows });
    const traceFlags = parent === 'caller asks' || parent === 'own, traced' ? TraceFlags.SAMPLED : TraceFlags.NONE;
    const spanContext = { traceId, spanId: 'b7ad6b7169203331', traceFlags, isRemote: parent.startsWith('caller') };
    const context = parent === 'none' ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
    const { decision } = sampler.shouldSample(context, traceId, 'a', SpanKind.SERVER, {}, []);
    t.is(decision, sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD);
  });
}

test('the limit is asked only where the share does not have the request traced anyway', (t) => {
  let asked = 0;
  const allowsCaller = (): boolean => (asked += 1) > 0;
  const sampler = createSampler({ ratio: 1, random: () => 0.5, allowsCaller });
  const parent = { traceId, spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.SAMPLED, isRemote: true };
  sampler.shouldSample(trace.setSpanContext(ROOT_CONTEXT, parent), traceId, 'a', SpanKind.SERVER, {}, []);
  t.is(asked, 0);
});
