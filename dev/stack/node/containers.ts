/**
 * What runs in a node: programs in its namespaces, and among them containerd, which runs the containers.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeTools } from '../build.ts';
import type { Child, Command, Processes, Result, Service } from '../processes.ts';
import type { Claim } from './claim.ts';
import { cniConfig, containerdConfig, containerdSocket, pauseImage, toolboxImage } from './configuration.ts';

export interface NodeGround {
  readonly processes: Processes;
  readonly tools: NodeTools;
  readonly claim: Claim;
  readonly signal?: AbortSignal | undefined;
}

/** Where the node keeps what it writes. */
export function nodeDir({ processes }: Pick<NodeGround, 'processes'>): string {
  return join(processes.dir, 'node');
}

export function startInside(ground: NodeGround, service: Service): Promise<Child> {
  return ground.processes.start({ ...service, ...inside(ground, service) });
}

export function runInside(ground: NodeGround, command: Command): Promise<Result> {
  const { signal } = ground;
  return ground.processes.run(inside(ground, command), signal === undefined ? {} : { signal });
}

function inside({ claim, tools }: NodeGround, { command, args, env }: Command): Command {
  const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc'];
  return {
    command: 'nsenter',
    args: [`--target=${claim.pid}`, ...namespaces, '--', command, ...args],
    env: {
      // containerd takes the shim from PATH.
      PATH: `${tools.containerdDir}:${tools.programPath}`,
      ...(tools.libraryPath === '' ? {} : { LD_LIBRARY_PATH: tools.libraryPath }),
      ...env,
    },
  };
}

/** Resolves when the images are there too. */
export async function startContainerd(ground: NodeGround): Promise<void> {
  const { processes, tools, claim, signal } = ground;
  const dir = nodeDir(ground);
  const cniDir = join(dir, 'cni');
  mkdirSync(cniDir, { recursive: true });
  writeFileSync(join(cniDir, '10-pods.conflist'), JSON.stringify(cniConfig(dir, claim.addresses)));
  const config = join(dir, 'containerd.toml');
  const { containerdDir, runc } = tools;
  const shim = join(containerdDir, 'containerd-shim-runc-v2');
  writeFileSync(config, containerdConfig({ dir, shim, runc, pluginDir: containerdDir, cniDir }));
  const images = join(dir, 'images.tar');
  const [containerd, written] = await Promise.all([
    startInside(ground, {
      name: 'containerd',
      command: join(containerdDir, 'containerd'),
      args: ['--config', config],
    }),
    processes.run({ command: tools.toolbox, args: ['image', images, pauseImage, toolboxImage] }),
  ]);
  if (written.code !== 0) throw new Error(`the node's images: ${written.stderr}`);
  await containerd.ready(async () => (await ctr(ground, ['version'])).code === 0, { timeoutMs: 30_000, signal });
  await importImages(ground, images);
}

/** Gives the node the images of an archive (an image layout, or what `docker save` writes). */
export async function importImages(ground: NodeGround, file: string): Promise<void> {
  const { code, stderr } = await ctr(ground, ['images', 'import', file]);
  if (code !== 0) throw new Error(`importing the images of ${file}: ${stderr}`);
}

/** A script that an operator would run on the node, where `ctr` is on the PATH; `cwd` is the script's own matter. */
export async function runScript(ground: NodeGround, script: string): Promise<void> {
  const { code, stderr } = await runInside(ground, { command: 'bash', args: ['-euc', script] });
  if (code !== 0) throw new Error(`on the node: ${script.trim()}: ${stderr}`);
}

function ctr(ground: NodeGround, args: readonly string[]): Promise<Result> {
  const command = join(ground.tools.containerdDir, 'ctr');
  return runInside(ground, { command, args: ['--address', containerdSocket, '--namespace', 'k8s.io', ...args] });
}
