/**
 * The stack as a command: `build` makes the tools, `up` runs a stack until SIGINT or SIGTERM.
 *
 * `up` prints one line of JSON on standard output when everything is ready; everything else goes to standard error. It
 * also ends, and takes the stack with it, when the process that started it is gone.
 */
import { parseArgs } from 'node:util';
import { buildBundles } from '../build-bundles.ts';
import { buildEngine } from '../build-engine.ts';
import { buildTools } from './build.ts';
import { createProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import { canRunNodes, startStack } from './stack.ts';
import type { Stack } from './stack.ts';

const usage = `npm run --silent stack -- build
npm run --silent stack -- up [--user NAME]... [--policy FILE] [--no-tka] [--with-node]

  build           compile the tools that a stack is made of, the engine and the bundles
  up              run a tailnet and a cluster; prints one line of JSON when ready, stays until SIGINT or SIGTERM
  --user NAME     a user's machine, or a tagged one (tag:ci); default: alice, bob and carol @example.com
  --policy FILE   the tailnet policy; read again whenever it changes
  --no-tka        do not start the server
  --with-node     a Kubernetes node too, for pods: needs root and Linux
`;

const progress = createProgress(process.stderr);
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const ended = untilEnded();
  try {
    const { values, positionals } = parse(args);
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
    switch (positionals.join(' ')) {
      case 'build':
        await buildTools({ progress, signal: ended, helm: true });
        await buildNode(ended);
        await buildOwn(progress, ended);
        return 0;
      case 'up':
        await up(values, ended);
        return 0;
      default:
        process.stderr.write(usage);
        return 2;
    }
  } catch (error) {
    if (ended.aborted) return 130;
    process.stderr.write(`${explain(error)}\n`);
    return error instanceof TypeError && 'code' in error ? 2 : 1;
  }
}

interface Values {
  readonly help: boolean;
  readonly user: string[] | undefined;
  readonly policy: string | undefined;
  readonly 'no-tka': boolean;
  readonly 'with-node': boolean;
}

function parse(args: readonly string[]): { readonly values: Values; readonly positionals: readonly string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      user: { type: 'string', multiple: true },
      policy: { type: 'string' },
      'no-tka': { type: 'boolean', default: false },
      'with-node': { type: 'boolean', default: false },
    },
  });
  return { values: { ...values, user: values.user, policy: values.policy }, positionals };
}

async function up({ user, policy, 'no-tka': noTka, 'with-node': node }: Values, ended: AbortSignal): Promise<void> {
  const own = noTka ? undefined : buildOwn(progress, ended);
  // Reported where it is awaited; until then it must not count as unhandled.
  own?.catch(() => undefined);
  await using stack = await startStack({
    progress,
    signal: ended,
    tka: false,
    node,
    ...(user === undefined ? {} : { users: user }),
    ...(policy === undefined ? {} : { policy }),
  });
  if (own !== undefined) {
    await own;
    const done = progress.start('tka');
    await stack.startTka({}, ended).finally(() => done(stack.tka.isRunning));
  }
  ended.throwIfAborted();
  process.stdout.write(`${JSON.stringify(describe(stack))}\n`);
  await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }));
}

/** The line that scripts read. Names are added here, never changed. */
function describe(stack: Stack): Record<string, unknown> {
  const { tka, headscale } = stack;
  return {
    kubeconfig: stack.kubeconfig,
    kubectl: stack.kubernetes.kubectlPath,
    caFile: stack.caFile,
    node: stack.hasNode
      ? { name: stack.node.name, image: stack.node.image, hostAddress: stack.node.hostAddress }
      : null,
    controlUrl: stack.controlUrl,
    headscale: { bin: headscale.bin, config: headscale.config, policy: stack.policy.path },
    tka: tka.isRunning
      ? { url: tka.url, ip: tka.ip, hostname: tka.hostname, health: tka.health, pid: tka.pid, log: tka.log }
      : null,
    users: Object.fromEntries([...stack.users].map(([name, { proxy, socket, ip }]) => [name, { proxy, socket, ip }])),
  };
}

/** Tests without a node must not fail for want of what only a node needs. */
async function buildNode(signal: AbortSignal): Promise<void> {
  if (!canRunNodes().ok) return;
  try {
    await buildTools({ progress, signal, node: true });
  } catch (error) {
    signal.throwIfAborted();
    progress.note(`Stacks with a node will not start: ${explain(error)}`);
  }
}

async function buildOwn(progress: Progress, signal: AbortSignal): Promise<void> {
  await Promise.all([buildEngine({ progress: (line) => progress.note(line), signal }), buildBundles()]);
}

/** Aborted by a signal to end, or when the parent process is gone. */
function untilEnded(): AbortSignal {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 500).unref();
  return controller.signal;
}

/** The message and those of its causes, without stacks: what went wrong out there, not in here. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${explain(error.cause)}`;
}
