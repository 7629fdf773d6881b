/**
 * Traces with OpenTelemetry, sent by OTLP over HTTP. Only loaded where they are on.
 *
 * The current span is carried by an AsyncLocalStorage of tka's own, so that nothing is registered for the whole process. A pass of the
 * reconciler runs on its queue, without a caller's context: the login that requested it is remembered by session, until a pass has
 * succeeded or a minute has passed.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { ReconcilerTrace } from '../../../reconciler/reconciler.ts';
import type { HttpTrace, TracedCall } from '../../http/deps.ts';
import { createLoginLimiter } from '../../http/limits.ts';
import { tellingExporter, withoutCredentials } from './exporter.ts';
import { createSampler } from './sampler.ts';

export interface Tracing {
  readonly http: HttpTrace;
  readonly reconciler: ReconcilerTrace;
  /** Sends what is left, for at most a few seconds. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  /** Where the spans go, whole. */
  readonly url: string;
  /** Share of the requests that are traced, from 0 to 1, whatever their callers ask for. */
  readonly sampleRatio: number;
  readonly version: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** How long spans are gathered before they are sent. */
  readonly delayMs?: number;
  /** How long sending may take, retries included. */
  readonly timeoutMs?: number;
}

const followMs = 60_000;
const stopMs = 3000;
/** Requests a minute that are traced because their callers ask for it. */
const callersPerMinute = 60;

export function startOtlpTracing(options: TracingOptions): Tracing {
  const { url, sampleRatio, version, log, random, now, delayMs = 2000, timeoutMs = 5000 } = options;
  const limiter = createLoginLimiter({ perSubjectPerMinute: callersPerMinute, totalPerMinute: callersPerMinute }, now);
  const exporter = tellingExporter(new OTLPTraceExporter({ url, timeoutMillis: timeoutMs }), url, log);
  const provider = new TracerProvider({
    sampler: createSampler({ ratio: sampleRatio, random, allowsCaller: () => limiter.take('callers') === undefined }),
    resource: resourceFromAttributes({ 'service.name': 'tka-server', 'service.version': version }).merge(
      detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
    ),
    spanProcessors: [
      new BatchSpanProcessor({ exporter, scheduledDelayMillis: delayMs, exportTimeoutMillis: timeoutMs }),
    ],
  });
  const tracer = provider.getTracer('tka', version);
  const underWay = new AsyncLocalStorage<Context | undefined>();
  const followed = new Map<string, { readonly context: Context; readonly until: number }>();
  log.info({ endpoint: withoutCredentials(url), sampleRatio }, 'traces are sent');

  /** Ends the span with the work, with its error if it fails. */
  const within = async <T>(span: Span, context: Context, work: () => T | Promise<T>): Promise<T> => {
    try {
      return await underWay.run(trace.setSpan(context, span), work);
    } catch (error) {
      // Its message may name a person.
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown');
      throw error;
    } finally {
      span.end();
    }
  };
  /** Outside of a trace, work runs as it is. */
  const step = async <T>(
    name: string,
    work: () => T | Promise<T>,
    attributesOf?: (result: T) => Attributes,
  ): Promise<T> => {
    const context = underWay.getStore();
    if (context === undefined) return await work();
    const span = tracer.startSpan(name, {}, context);
    return await within(span, context, async () => {
      const result = await work();
      if (attributesOf !== undefined) span.setAttributes(attributesOf(result));
      return result;
    });
  };

  return {
    http: {
      async request({ method, route, traceparent }, work, answered) {
        const context = callersContext(traceparent);
        const name = route === undefined ? method : `${method} ${route}`;
        const attributes = { 'http.request.method': method, ...(route === undefined ? {} : { 'http.route': route }) };
        const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, context);
        await within(span, context, async () => {
          await work();
          const { status, requestId } = answered();
          span.setAttributes({ 'http.response.status_code': status, 'tka.request_id': requestId });
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        });
      },
      step,
    },
    reconciler: {
      step,
      follow(session) {
        const context = underWay.getStore();
        // The oldest are at the front.
        for (const [other, { until }] of followed) {
          if (until > now()) break;
          followed.delete(other);
        }
        followed.delete(session);
        if (context !== undefined) followed.set(session, { context, until: now() + followMs });
      },
      async pass(session, work) {
        const login = followed.get(session);
        // The context that happened to wake the queue is unrelated.
        if (login === undefined || login.until <= now()) return await underWay.run(undefined, work);
        const { context } = login;
        const result = await within(tracer.startSpan('reconcile', {}, context), context, work);
        followed.delete(session);
        return result;
      },
    },
    async stop() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, stopMs);
      await Promise.race([provider.shutdown().catch(() => {}), late.promise]);
      clearTimeout(timer);
    },
  };
}

/** W3C Trace Context, version 00; an invalid header starts a new trace. */
function callersContext(traceparent: TracedCall['traceparent']): Context {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}
