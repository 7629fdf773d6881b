/**
 * Traces of what the server does for its callers. Off by default: then nothing of OpenTelemetry is loaded, and all work runs without
 * it.
 *
 * No span names a person, a machine or a session; docs/tracing.md lists their attributes.
 */
import type { LoadedConfig } from '../../config/index.ts';
import type { Tracing, TracingOptions } from './otlp.ts';

/** As the configuration has it; OTEL_SDK_DISABLED is OpenTelemetry's own switch. */
export async function openTracing(
  { values, sources }: Pick<LoadedConfig, 'values' | 'sources'>,
  { version, log }: Pick<TracingOptions, 'version' | 'log'>,
): Promise<Tracing> {
  const endpoint = values['tracing.endpoint'];
  if (endpoint === '' || process.env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return noTracing;
  const { startOtlpTracing } = await import('./otlp.ts');
  return startOtlpTracing({
    url: tracesUrl(endpoint, sources['tracing.endpoint']),
    sampleRatio: values['tracing.sampleRatio'],
    version,
    log,
    random: Math.random,
    now: () => performance.now(),
  });
}

export const noTracing: Tracing = {
  http: { request: (_call, work) => work(), step: async (_name, work) => await work() },
  reconciler: { step: (_name, work) => work(), follow: () => {}, pass: (_session, work) => work() },
  stop: () => Promise.resolve(),
};

/**
 * The URL for spans: below the endpoint, as the OTLP specification says, unless it comes from the variable for the full URL.
 */
export function tracesUrl(endpoint: string, source: string): string {
  if (source === 'environment OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') return endpoint;
  return `${endpoint.replace(/\/+$/, '')}/v1/traces`;
}
