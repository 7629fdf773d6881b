/**
 * `node bench/proxy-memory.ts --minutes 10`: resident memory of server and engine while the proxy is in use: small GETs and
 * LISTs of 2 MB in turn, on as many connections, and a second of nothing after each pair.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { childrenOf, residentMiB } from './memory.ts';
import { listPath, proxyToken, smallPath, startCluster, user } from './proxy-cluster.ts';
import { buildPrograms, startProgram } from './proxy-programs.ts';
import { median, quantile } from './rounds.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, concurrency: { type: 'string', default: '8' } },
});
const minutes = Number(values.minutes);
const dir = mkdtempSync(join(tmpdir(), 'tka-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const binary = await buildPrograms(dir);
await using stack = await startCluster();
await using load = await startProgram(
  binary,
  'load',
  {
    hostname: 'load',
    stateDir: mkdtempSync(join(dir, 'load')),
    controlUrl: stack.controlUrl,
    authKey: await stack.headscale.authKey({ owner: user }),
  },
  { SSL_CERT_FILE: stack.caFile },
);
const token = await proxyToken(stack);
const url = `https://${stack.tka.ip}/k8s`;

interface Minute {
  readonly server: number[];
  readonly engine: number[];
  requests: number;
  bytes: number;
}

const table: Minute[] = [];
const endsAt = performance.now() + minutes * 60_000;
const [engine = 0] = await childrenOf(stack.tka.pid);
for (let minute = 0; performance.now() < endsAt; minute += 1) {
  const sample: Minute = { server: [], engine: [], requests: 0, bytes: 0 };
  table.push(sample);
  const minuteEndsAt = Math.min(endsAt, performance.now() + 60_000);
  while (performance.now() < minuteEndsAt) {
    for (const path of [smallPath, listPath]) {
      const order = { url: `${url}${path}`, token, concurrency: Number(values.concurrency), durationMs: 1000 };
      const measured = await load.ask<{ requests: number; bytes: number; error?: string }>(order);
      if (measured.error !== undefined) throw new Error(measured.error);
      sample.requests += measured.requests;
      sample.bytes += measured.bytes;
    }
    sample.server.push(await residentMiB(stack.tka.pid));
    sample.engine.push(await residentMiB(engine));
    await delay(1000);
  }
  process.stderr.write(`minute ${minute + 1} of ${minutes}\n`);
}
const highest = (sizes: readonly number[]): string => quantile(sizes, 1).toFixed(0);
console.log(
  [
    `### Memory under load (${minutes} minutes, C=${values.concurrency}; MiB resident, median of each minute and its highest)`,
    '',
    '| minute | requests | MB | server | engine |',
    '|---|---|---|---|---|',
    ...table.map(
      (sample, minute) =>
        `| ${minute + 1} | ${sample.requests} | ${(sample.bytes / 1e6).toFixed(0)} | ` +
        `${median(sample.server).toFixed(0)} (${highest(sample.server)}) | ${median(sample.engine).toFixed(0)} (${highest(sample.engine)}) |`,
    ),
    '',
  ].join('\n'),
);
