/**
 * A tailnet and a cluster of one's own, in a temporary directory, on free loopback ports: what tests and the demo run on.
 *
 * `startStack` compiles what is missing, starts everything at once and resolves when it is usable; on any failure nothing
 * is left. The process that started a stack closes it (`await using`); if it dies in any way, the
 * stack dies with it, temporary directory included. TKA_STACK_KEEP=1 keeps the directory, for its logs.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildTools } from './build.ts';
import type { NodeTools } from './build.ts';
import { Headscale } from './headscale.ts';
import { Kubernetes } from './kubernetes.ts';
import { Machines } from './machines.ts';
import { canRunNodes } from './node/ability.ts';
import { claimNode } from './node/claim.ts';
import type { Claim } from './node/claim.ts';
import { StackNode } from './node/node.ts';
import { createPki } from './pki.ts';
import { defaultUsers, policyOf, policyText } from './policy.ts';
import type { Policy } from './policy.ts';
import { PolicyFile } from './policy-file.ts';
import { Processes } from './processes.ts';
import { silent } from './progress.ts';
import type { Progress } from './progress.ts';
import { Stack, startedNode } from './running-stack.ts';
import type { ClusterStack, Ground, StackParts } from './running-stack.ts';
import { TkaServer } from './tka-server.ts';
import type { TkaOverrides } from './tka-server.ts';

export interface ClusterOptions {
  readonly progress?: Progress;
  /** Aborts the start. A stack that runs is closed, not aborted. */
  readonly signal?: AbortSignal;
  /** Names of kube-controller-manager's controllers; default: those that rights and namespaces need. */
  readonly controllers?: readonly string[];
  /** Apply `manifests/cluster`. Default true. */
  readonly manifests?: boolean;
  /** A node that runs pods, and the controllers for them; where `canRunNodes()` says so. Default false. */
  readonly node?: boolean;
}

export interface StackOptions extends ClusterOptions {
  /** One machine each: a login name, or `tag:NAME` for a tagged machine. Default: alice, bob and carol @example.com. */
  readonly users?: readonly string[];
  /** A policy, or the path of a policy file; the file is watched. Default: `policyOf()`. */
  readonly policy?: Policy | string;
  /** Start the server too, from the bundles in dist/; with these settings. Default true. */
  readonly tka?: boolean | TkaOverrides;
  /** So many servers, `tka-0` and on, one of which leads; default: one, `tka`. */
  readonly replicas?: number;
  /** Hears why a changed policy file was refused. Default: standard error. */
  readonly onPolicyRefused?: (reason: Error) => void;
}

export { canRunNodes } from './node/ability.ts';
export type { ClusterStack, Stack } from './running-stack.ts';

export function startStack(options: ClusterOptions & { readonly tailnet: false }): Promise<ClusterStack>;
export function startStack(options?: StackOptions): Promise<Stack>;
export async function startStack(
  options: StackOptions & { readonly tailnet?: boolean } = {},
): Promise<ClusterStack | Stack> {
  const { progress = silent, signal, node = false } = options;
  if (node) {
    const ability = canRunNodes();
    if (!ability.ok) throw new Error(`A Kubernetes node cannot run here: ${ability.reason}`);
  }
  const tools = await buildTools({ progress, signal, node });
  const dir = mkdtempSync(join(tmpdir(), 'tka-stack-'));
  const keep = process.env['TKA_STACK_KEEP'] === '1';
  if (keep) progress.note(`keeping ${dir}`);
  const processes = new Processes({ dir, supervise: tools.supervise, keep });
  // The other parts must not keep starting while the processes are being ended.
  const failed = new AbortController();
  try {
    // First of all, because certificates have its addresses in them.
    const place = tools.node === undefined ? undefined : await placeFor(tools.node, processes, signal);
    const pki = await createPki({ processes, pki: tools.pki, node: place?.claim.addresses, signal });
    const start: Start = {
      ground: { tools, processes, pki },
      place,
      signal: signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]),
      progress,
    };
    const cluster = startCluster(start, options);
    if (options.tailnet === false) return clusterStack(start, await cluster);
    return await startTailnet(start, options, cluster);
  } catch (error) {
    failed.abort();
    await processes[Symbol.asyncDispose]();
    signal?.throwIfAborted();
    throw error;
  }
}

interface Start {
  readonly ground: Ground;
  /** Of the node. */
  readonly place: Place | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

interface Place {
  readonly tools: NodeTools;
  readonly claim: Claim;
}

async function placeFor(tools: NodeTools, processes: Processes, signal: AbortSignal | undefined): Promise<Place> {
  return { tools, claim: await claimNode(processes, tools.node, signal) };
}

type Cluster = Pick<StackParts, 'kubernetes' | 'node'>;

async function startCluster(start: Start, { controllers, manifests }: ClusterOptions): Promise<Cluster> {
  const { ground, place, signal, progress } = start;
  const { processes, pki, tools } = ground;
  const { kube, kubectl } = tools;
  const common = { processes, pki, kube, signal };
  const addresses = place?.claim.addresses;
  const starting = step(
    progress,
    'Kubernetes',
    Kubernetes.start({ ...common, kubectl, controllers, manifests, node: addresses }),
  );
  if (place === undefined) return { kubernetes: await starting, node: undefined };
  const node = StackNode.start({ ...common, ...place, kubernetes: starting });
  const [kubernetes, started] = await Promise.all([starting, step(progress, 'node', node)]);
  return { kubernetes, node: started };
}

function clusterStack({ ground }: Start, { kubernetes, node }: Cluster): ClusterStack {
  const { processes, pki } = ground;
  const close = (): Promise<void> => processes[Symbol.asyncDispose]();
  return {
    dir: processes.dir,
    kubernetes,
    get node() {
      return startedNode(node);
    },
    kubeconfig: kubernetes.kubeconfig,
    caFile: pki.caFile,
    kubectl: (args, kubectlOptions) => kubernetes.kubectl(args, kubectlOptions),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function startTailnet(start: Start, options: StackOptions, cluster: Promise<Cluster>): Promise<Stack> {
  const { ground, signal, progress } = start;
  const { processes, pki } = ground;
  const { tka: wanted = true, replicas = 1 } = options;
  const [{ kubernetes, node }, tailnet] = await Promise.all([
    cluster,
    step(progress, 'tailnet', startNetwork(start, options)),
  ]);
  const serverKey = randomBytes(32).toString('hex');
  const server = (hostname?: string): TkaServer =>
    new TkaServer({
      processes,
      headscale: tailnet.headscale,
      caFile: pki.caFile,
      kubeconfig: () => kubernetes.accountKubeconfig('tka-system', 'tka'),
      ...(hostname === undefined ? {} : { replica: { hostname, serverKey } }),
    });
  const [tka, ...others] =
    replicas === 1
      ? ([server()] as const)
      : ([server('tka-0'), ...Array.from({ length: replicas - 1 }, (_, i) => server(`tka-${i + 1}`))] as const);
  const stack = new Stack(ground, { ...tailnet, kubernetes, node, tka, others });
  if (wanted !== false) await step(progress, 'tka', stack.startTka(wanted === true ? {} : wanted, signal));
  return stack;
}

async function startNetwork(
  { ground, place, signal }: Start,
  options: StackOptions,
): Promise<Pick<StackParts, 'headscale' | 'policy' | 'machines'>> {
  const { processes, pki, tools } = ground;
  const { users = defaultUsers, policy = policyOf() } = options;
  const report = (reason: Error): void => void process.stderr.write(`policy not changed: ${reason.message}\n`);
  const { onPolicyRefused = report } = options;

  // Where there are pods, one of them may be a machine of the tailnet.
  const address = place?.claim.addresses.host;
  const headscale = await Headscale.start({ processes, bin: tools.headscale, pki, address, signal });
  const path = typeof policy === 'string' ? resolve(policy) : join(processes.dir, 'policy.json');
  if (typeof policy !== 'string') await writeFile(path, policyText(policy));
  const policyFile = await PolicyFile.open(path, {
    apply: (file) => headscale.applyPolicy(file),
    onRefused: onPolicyRefused,
    signal: processes.disposed,
  });
  const { tailscale, tailscaled } = tools;
  const machines = new Machines({ processes, tailscale, tailscaled, caFile: pki.caFile, headscale });
  await Promise.all([...new Set(users)].map((user) => machines.add(user, signal)));
  return { headscale, policy: policyFile, machines };
}

async function step<T>(progress: Progress, title: string, work: Promise<T>): Promise<T> {
  const done = progress.start(title);
  try {
    const result = await work;
    done(true);
    return result;
  } catch (error) {
    done(false);
    throw error;
  }
}
