/**
 * Traces of what the server does for its callers, as its parts see them. Off by default: then nothing of OpenTelemetry is loaded, and
 * all work runs as it is.
 *
 * No span names a person, a machine or a session; docs/tracing.md lists what they do say.
 */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/index.ts';
import type { HttpTrace } from '../../http/deps.ts';
import type { ReconcilerTrace } from '../../../reconciler/reconciler.ts';

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
  /** How long sending may take, tries again included. */
  readonly timeoutMs?: number;
}

/** As the configuration has it; OTEL_SDK_DISABLED is OpenTelemetry's own switch. */
export async function openTracing(
  { values, sources }: Pick<LoadedConfig, 'values' | 'sources'>,
  { version, log }: Pick<TracingOptions, 'version' | 'log'>,
): Promise<Tracing> {
  const endpoint = values['tracing.endpoint'];
  if (endpoint === '' || process.env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return noTracing;
  return startTracing({
    url: tracesUrl(endpoint, sources['tracing.endpoint']),
    sampleRatio: values['tracing.sampleRatio'],
    version,
    log,
    random: Math.random,
    now: () => performance.now(),
  });
}

export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { startOtlpTracing } = await import('./otlp.ts');
  return startOtlpTracing(options);
}

export const noTracing: Tracing = {
  http: { request: (_call, work) => work(), step: async (_name, work) => await work() },
  reconciler: { step: (_name, work) => work(), follow: () => {}, pass: (_session, work) => work() },
  stop: () => Promise.resolve(),
};

/**
 * Where spans go: below the endpoint, as the OTLP specification has it, unless the variable that names the place itself said so.
 */
export function tracesUrl(endpoint: string, source: string): string {
  if (source === 'environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') return endpoint;
  return `${endpoint.replace(/\/+$/, '')}/v1/traces`;
}
