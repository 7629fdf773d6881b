/**
 * `node bench/hand-off.ts`: what it costs that an HTTP server is another process than its tailnet node. Answers from memory, by
 * a Node server behind the engine and by a plain Go server on a tsnet listener, over TLS, asked by a tailnet node of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startStack } from '../dev/stack/stack.ts';
import { createNode } from '../node/tsnet/index.ts';
import { buildPrograms, startProgram } from './proxy-programs.ts';
import { interleave, interval, median } from './rounds.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, 'duration-ms': { type: 'string', default: '1000' } },
});
const dir = mkdtempSync(join(tmpdir(), 'tka-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
process.stderr.write('compiling what is compared with …\n');
const binary = await buildPrograms(dir);
const user = 'bench@example.com';
await using stack = await startStack({ users: [user], tka: false });
const env = { SSL_CERT_FILE: stack.caFile };
const settings = async (hostname: string, owner: string) => ({
  hostname,
  stateDir: mkdtempSync(join(dir, hostname)),
  controlUrl: stack.controlUrl,
  authKey: await stack.headscale.authKey({ owner }),
});
await using plain = await startProgram(binary, 'static', await settings('static', 'tag:tka'), env);
await using load = await startProgram(binary, 'load', await settings('load', user), env);

const { authKey, ...behind } = await settings('behind', 'tag:tka');
const node = createNode({ ...behind, join: { authKey }, capabilities: [], caFile: stack.caFile });
const [small, large] = ['x'.repeat(600), Buffer.alloc(2_700_000, 'x')];
const server = createServer((req, res) => {
  res.setHeader('content-type', 'application/json');
  res.end(req.url === '/large' ? large : small);
});
await node.whenReady();
(await node.listen(443, { tls: true })).attach(server);

interface Measured {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly error?: string;
}

const addresses = { node: node.state.addresses[0] ?? '', plain: plain.address };
const rows: string[] = [];
for (const { title, path, concurrency } of [
  { title: '600 bytes, C=1, req/s', path: '/small', concurrency: 1 },
  { title: '600 bytes, C=8, req/s', path: '/small', concurrency: 8 },
  { title: '600 bytes, C=32, req/s', path: '/small', concurrency: 32 },
  { title: '2.7 MB, C=1, MB/s', path: '/large', concurrency: 1 },
  { title: '2.7 MB, C=8, MB/s', path: '/large', concurrency: 8 },
]) {
  const measure = (address: string) => async (): Promise<number> => {
    const order = { url: `https://${address}${path}`, concurrency, durationMs: Number(values['duration-ms']) };
    const measured = await load.ask<Measured>(order);
    if (measured.error !== undefined) throw new Error(`${title}: ${measured.error}`);
    return (path === '/small' ? measured.requests : measured.bytes / 1e6) / measured.seconds;
  };
  const { node: ours = [], plain: alone = [] } = await interleave(
    Number(values.rounds),
    { node: measure(addresses.node), plain: measure(addresses.plain) },
    (round) => process.stderr.write(`${title}: round ${round} of ${values.rounds}\n`),
  );
  rows.push(`| ${title} | ${median(ours).toFixed(0)} | ${median(alone).toFixed(0)} | ${interval(ours, alone)} |`);
}
console.log(
  [
    `### The hand-off alone (${values.rounds} rounds; medians, ratio with its 95 % interval)`,
    '',
    '| what | Node behind the engine | Go on a tsnet listener | ratio |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n'),
);
await node.close();
