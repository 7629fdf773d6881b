import type { SpanExporter } from '@opentelemetry/sdk-trace';
import test from 'ava';
import { tellingExporter } from './exporter.ts';

type Result = Parameters<Parameters<SpanExporter['export']>[1]>[0];

test("a failing receiver is logged once, and once when it accepts spans again, without its URL's credentials", (t) => {
  const results: Result[] = [];
  const said: string[] = [];
  const log = {
    info: (line: object | string) => said.push(`info ${JSON.stringify(line)}`),
    warn: (line: object | string) => said.push(`warn ${JSON.stringify(line)}`),
  };
  const good = { code: 0 };
  const failed = { code: 1, error: new Error('refused') };
  // Their codes are of an enum whose package is not ours to import.
  const next = [failed, failed, good, good, failed] as unknown as readonly Result[];
  const queue = [...next];
  const exporter = tellingExporter(
    {
      export(_spans, done) {
        const result = queue.shift();
        if (result !== undefined) done(result);
      },
      shutdown: () => Promise.resolve(),
    },
    'https://user:secret@collector/v1/traces?key=secret',
    log,
  );
  for (const _ of next) exporter.export([], (result) => results.push(result));
  t.deepEqual(results, next);
  const away = 'warn {"endpoint":"https://collector/v1/traces","reason":"refused"}';
  t.deepEqual(said, [away, 'info "traces arrive again"', away]);
});
