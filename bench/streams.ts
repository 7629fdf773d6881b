/**
 * `node bench/streams.ts`: bulk data through `kubectl exec`, by the API server alone, through tka and through Tailscale's own API server
 * proxy, in both directions, over websocket and over SPDY. The pod is the stand-in kubelet of dev/stack, which counts what it reads and
 * makes what it writes. `kubectl cp` is such an exec, of tar.
 *
 * Each round runs every way once. Seconds are medians; beside them the processor time of each program, which says where the time goes,
 * and does not move with what else the machine does. Prints Markdown.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import { Person } from '../e2e/person.ts';
import { buildPrograms, startProgram } from './proxy-programs.ts';
import { interleave, interval, median } from './rounds.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, megabytes: { type: 'string', default: '100' } },
});
const rounds = Number(values.rounds);
const bytes = Number(values.megabytes) * 1_000_000;
const user = 'bench@example.com';

const dir = mkdtempSync(join(tmpdir(), 'tka-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
process.stderr.write('compiling what is compared with …\n');
const binary = await buildPrograms(dir);
await using stack = await startStack({
  users: [user],
  policy: policyOf({ [user]: [{ role: 'cluster-admin', period: '8h', priority: 1 }] }),
});
await (await stack.addStandIn()).addPod('pod');
const person = new Person(stack, user);
await person.login('--mode', 'proxy', '--use');
const machine = stack.machine(user);
const kubectl = join(stack.binDir, 'kubectl');

// Tailscale's proxy impersonates its caller.
const cluster = ['clusterrolebinding', 'bench', '--clusterrole=cluster-admin', `--user=${user}`];
const { code, stderr } = await stack.kubectl(['create', ...cluster]);
if (code !== 0) throw new Error(stderr);
await using peer = await startProgram(
  binary,
  'peer',
  {
    hostname: 'peer',
    stateDir: mkdtempSync(join(dir, 'peer')),
    controlUrl: stack.controlUrl,
    authKey: await stack.headscale.authKey({ owner: 'tag:tka' }),
    server: stack.kubernetes.url,
    caFile: stack.caFile,
    caller: user,
    kubeconfig: stack.kubeconfig,
  },
  { SSL_CERT_FILE: stack.caFile },
);
const kubeconfigs = {
  direct: stack.kubeconfig,
  tka: person.kubeconfig,
  'api-proxy': join(dir, 'api-proxy.json'),
} as const;
type Way = keyof typeof kubeconfigs;
const ways: readonly Way[] = ['direct', 'tka', 'api-proxy'];
const named = (what: string, value: object): object => ({ name: 'peer', [what]: value });
writeFileSync(
  kubeconfigs['api-proxy'],
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'peer',
    clusters: [
      named('cluster', {
        server: `https://${peer.address}`,
        // It has a certificate for its name alone.
        'tls-server-name': 'peer.tail.test',
        'insecure-skip-tls-verify': true,
      }),
    ],
    contexts: [named('context', { cluster: 'peer', user: 'peer' })],
    // kubectl would ask for a password.
    users: [named('user', { token: 'unused' })],
  }),
);

const programs = ['kubectl', 'tailscaled', 'tka-engine', 'proxybench', 'node', 'apiserver', 'standin'] as const;
type Used = Record<(typeof programs)[number], number>;
const used: Record<string, Used[]> = {};

const candidates = Object.fromEntries(
  (['in', 'out'] as const).flatMap((direction) =>
    (['websocket', 'SPDY'] as const).flatMap((protocol) =>
      ways.map((way) => [`${direction} ${protocol} ${way}`, () => run(direction, protocol, way)]),
    ),
  ),
);
const samples = await interleave(rounds, candidates, (round) => {
  // The first is thrown away.
  if (round === 0) for (const name in used) used[name] = [];
  process.stderr.write(`streams: round ${round} of ${rounds}\n`);
});

const lines = [
  '| what | direct, s | tka, s | api-proxy, s | tka / direct | tka / api-proxy |',
  '|---|---|---|---|---|---|',
];
const costs = [`| processor time, s | ${programs.join(' | ')} |`, `|---${'|---'.repeat(programs.length)}|`];
for (const what of ['in websocket', 'in SPDY', 'out websocket', 'out SPDY']) {
  const [direct = [], tka = [], other = []] = ways.map((way) => samples[`${what} ${way}`]);
  const seconds = [direct, tka, other].map((times) => median(times).toFixed(2)).join(' | ');
  lines.push(`| ${what} | ${seconds} | ${interval(tka, direct)} | ${interval(tka, other)} |`);
  for (const way of ways) {
    const times = used[`${what} ${way}`] ?? [];
    const cells = programs.map((program) => median(times.map((one) => one[program])).toFixed(2));
    costs.push(`| ${what}, ${way} | ${cells.join(' | ')} |`);
  }
}
console.log([...lines, '', ...costs].join('\n'));

async function run(direction: 'in' | 'out', protocol: 'websocket' | 'SPDY', way: Way): Promise<number> {
  const command =
    direction === 'in' ? ['exec', '-i', 'pod', '--', 'count'] : ['exec', 'pod', '--', 'bytes', `${bytes}`];
  const env = {
    ...process.env,
    HOME: machine.home,
    PATH: `${stack.binDir}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    ...(way === 'direct' ? {} : { HTTPS_PROXY: machine.proxy }),
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(protocol === 'websocket'),
  };
  const before = processorTimes();
  const startedAt = performance.now();
  // head, for kubectl reads a file as fast as the disk is, and a pipe from here would cost this process.
  const child = spawn(
    'sh',
    [
      '-c',
      `head -c ${direction === 'in' ? bytes : 0} /dev/zero | exec "$@"`,
      'sh',
      kubectl,
      `--kubeconfig=${kubeconfigs[way]}`,
      ...command,
    ],
    {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let received = 0;
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (direction === 'in') text += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null]; // the event's own
  const seconds = (performance.now() - startedAt) / 1000;
  const carried = direction === 'in' ? Number(text) : received;
  if (code !== 0 || carried !== bytes) throw new Error(`${direction} ${protocol} ${way}: ${code}, ${carried} bytes`);
  const after = processorTimes();
  const entries = programs.map((program) => [program, (after[program] ?? 0) - (before[program] ?? 0)]);
  (used[`${direction} ${protocol} ${way}`] ??= []).push(Object.fromEntries(entries) as Used); // all of them
  return seconds;
}

/** Seconds by program, of this stack's processes and of children that have ended. */
function processorTimes(): Partial<Used> {
  const times: Partial<Used> = {};
  const add = (program: string, ticks: number): void => {
    const known = programs.find((name) => program.includes(name) || (name === 'kubectl' && program === 'children'));
    if (known !== undefined) times[known] = (times[known] ?? 0) + ticks / 100;
  };
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      const own = Number(stat[11]) + Number(stat[12]);
      if (Number(pid) === process.pid) add('children', Number(stat[13]) + Number(stat[14]));
      else if (
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(stack.dir) ||
        isOurs(pid) ||
        Number(pid) === peer.pid
      )
        add(nameOf(pid), own);
    } catch {
      // It has ended.
    }
  }
  return times;
}

function isOurs(pid: string): boolean {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(stack.dir);
}

function nameOf(pid: string): string {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return args.join(' ').includes('apiserver') ? 'apiserver' : ((args[0] ?? '').split('/').at(-1) ?? '');
}
