/** An exporter that logs once that spans do not arrive, and once that they do again. */
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';

export function tellingExporter(exporter: SpanExporter, url: string, log: Pick<Logger, 'info' | 'warn'>): SpanExporter {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing) {
          log.warn(
            { endpoint: withoutCredentials(url), reason: result.error?.message },
            'traces cannot be sent and are dropped; nothing else hangs on them',
          );
        } else if (isFailing && !hasFailed) log.info('traces arrive again');
        isFailing = hasFailed;
        done(result);
      });
    },
    forceFlush: async () => await exporter.forceFlush?.(),
    shutdown: async () => await exporter.shutdown(),
  };
}

export function withoutCredentials(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
