/**
 * Which requests are traced: a share of all, chosen here and not by the callers' trace IDs; and those whose callers request it, up to a
 * limit, so that no caller can have every request traced. Spans of a trace are sampled together.
 */
import { isSpanContextValid, trace, TraceFlags } from '@opentelemetry/api';
import type { Context } from '@opentelemetry/api';
import type { Sampler, SamplingResult } from '@opentelemetry/sdk-trace';
import { SamplingDecision } from '@opentelemetry/sdk-trace';

export interface SamplerOptions {
  readonly ratio: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether one more caller may have its request traced. */
  readonly allowsCaller: () => boolean;
}

export function createSampler({ ratio, random, allowsCaller }: SamplerOptions): Sampler {
  const isSampled = (context: Context): boolean => {
    const parent = trace.getSpanContext(context);
    const isAsked =
      parent !== undefined && isSpanContextValid(parent) && (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    if (parent !== undefined && parent.isRemote !== true) return isAsked;
    return random() < ratio || (isAsked && allowsCaller());
  };
  return {
    shouldSample: (context): SamplingResult => ({
      decision: isSampled(context) ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD,
    }),
    toString: () => `tka(${ratio})`,
  };
}
