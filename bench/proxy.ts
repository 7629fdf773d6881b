/**
 * `node bench/proxy.ts`: the Kubernetes API through tka's proxy, beside a plain tsnet reverse proxy and Tailscale's own API server
 * proxy, all over TLS with the caller's identity checked, and beside the API server without any of them.
 *
 * Each round asks all of them, one after another, so that a slow minute of the machine hits them all. The caller is a tailnet node
 * of its own. Prints Markdown: medians, and ratios with their 95 % interval.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { listPath, namespace, proxyToken, smallPath, startCluster, user, wordsPath } from './proxy-cluster.ts';
import { buildPrograms, startProgram } from './proxy-programs.ts';
import { interval, median } from './rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    'duration-ms': { type: 'string', default: '1500' },
    // Of what is measured, by a part of its title: `--only GET`.
    only: { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
const durationMs = Number(values['duration-ms']);

interface Measured {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly error?: string;
}

interface Target {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly direct?: boolean;
  readonly serverName?: string;
}

const dir = mkdtempSync(join(tmpdir(), 'tka-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
process.stderr.write('compiling what is compared with …\n');
const binary = await buildPrograms(dir);
await using stack = await startCluster();
const env = { SSL_CERT_FILE: stack.caFile };
const node = async (hostname: string, owner: string) => ({
  hostname,
  stateDir: mkdtempSync(join(dir, hostname)),
  controlUrl: stack.controlUrl,
  authKey: await stack.headscale.authKey({ owner }),
});
const account = (await run(['create', 'token', 'bench', '-n', namespace, '--duration=8h'])).trim();
const upstream = { server: stack.kubernetes.url, caFile: stack.caFile, caller: user };
await using reverse = await startProgram(
  binary,
  'reverse',
  { ...(await node('reverse', 'tag:tka')), ...upstream, token: account },
  env,
);
await using peer = await startProgram(
  binary,
  'peer',
  { ...(await node('peer', 'tag:tka')), ...upstream, kubeconfig: stack.kubeconfig },
  env,
);
await using load = await startProgram(binary, 'load', await node('load', user), env);

const targets: readonly Target[] = [
  { name: 'API server direct', url: stack.kubernetes.url, token: account, direct: true },
  { name: 'tka', url: `https://${stack.tka.ip}/k8s`, token: await proxyToken(stack) },
  { name: 'tsnet reverse proxy', url: `https://${reverse.address}`, token: '' },
  { name: 'api-proxy', url: `https://${peer.address}`, token: '', serverName: 'peer.tail.test' },
];

interface Measurement {
  readonly title: string;
  readonly unit: 'req/s' | 'MB/s' | 'ms';
  readonly order: object;
  readonly path: string;
}

const known: readonly Measurement[] = [
  ...[1, 8, 32].map((concurrency) => ({
    title: `small GET, C=${concurrency}`,
    unit: 'req/s' as const,
    path: smallPath,
    order: { concurrency, durationMs },
  })),
  // As kubectl asks, without compression, and as no Kubernetes client does: Go's HTTP client asks the API server for gzip
  // where its caller does not say, so that a reverse proxy in Go then reads less than it passes on.
  ...[
    { what: 'LIST of 2 MB, gzip', path: wordsPath, encoding: 'gzip' },
    { what: 'LIST of 2 MB, identity', path: wordsPath, encoding: 'identity' },
    { what: 'LIST of 2 MB, not said', path: wordsPath, encoding: '' },
    { what: 'LIST of 2 MB of one letter, not said', path: listPath, encoding: '' },
  ].flatMap(({ what, path, encoding }) =>
    [1, 8].map((concurrency) => ({
      title: `${what}, C=${concurrency}`,
      unit: 'MB/s' as const,
      path,
      order: { concurrency, durationMs, encoding },
    })),
  ),
  {
    title: 'watch: create to event, p50',
    unit: 'ms',
    path: '/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0',
    order: { watch: true, requests: 40 },
  },
];

const measurements = known.filter(({ title }) => title.includes(values.only));
const samples = new Map<string, number[]>();
for (let round = 0; round <= rounds; round += 1) {
  for (const { title, unit, path, order } of measurements) {
    for (const target of targets) {
      const create = `${target.url}/api/v1/namespaces/default/configmaps`;
      const measured = await load.ask<Measured>({
        ...order,
        create,
        url: `${target.url}${path}`,
        token: target.token,
        direct: target.direct ?? false,
        serverName: target.serverName ?? '',
      });
      if (measured.error !== undefined) throw new Error(`${target.name}, ${title}: ${measured.error}`);
      const value = {
        'req/s': measured.requests / measured.seconds,
        'MB/s': measured.bytes / measured.seconds / 1e6,
        ms: measured.p50Ms,
      }[unit];
      const key = `${title}|${target.name}`;
      // The first round warms connections and caches.
      if (round > 0) samples.set(key, [...(samples.get(key) ?? []), value]);
    }
  }
  await run([
    'delete',
    'configmaps',
    '-n',
    'default',
    '--field-selector',
    'metadata.name!=small,metadata.name!=kube-root-ca.crt',
    '--wait=false',
  ]);
  process.stderr.write(`round ${round} of ${rounds}\n`);
}
console.log(table());

function table(): string {
  const [, own, plain, other] = targets.map(({ name }) => name);
  const row = measurements.map(({ title, unit }) => {
    const of = (name = ''): readonly number[] => samples.get(`${title}|${name}`) ?? [];
    const figures = targets.map(({ name }) => median(of(name)).toFixed(unit === 'ms' ? 2 : 0));
    return `| ${title}, ${unit} | ${figures.join(' | ')} | ${interval(of(own), of(plain))} | ${interval(of(own), of(other))} |`;
  });
  return [
    `### The Kubernetes API over the tailnet (${rounds} rounds; medians, ratios with their 95 % interval)`,
    '',
    `| what | ${targets.map(({ name }) => name).join(' | ')} | ${own} / ${plain} | ${own} / ${other} |`,
    `|---|${targets.map(() => '---|').join('')}---|---|`,
    ...row,
    '',
  ].join('\n');
}

async function run(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.kubectl(args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}
