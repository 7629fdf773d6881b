/**
 * The Go programs that a stack is made of: which they are, how each is compiled, and the name of its place in the cache,
 * which changes with everything that its binary depends on.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const goDir = fileURLToPath(new URL('go/', import.meta.url));

export interface Tool {
  /** Its folder under dev/stack/go. */
  readonly name:
    | 'supervise'
    | 'pki'
    | 'tailscale'
    | 'headscale'
    | 'kube'
    | 'standin'
    | 'node'
    | 'toolbox'
    | 'containerd'
    | 'coredns'
    | 'helm';
  /** Compiled only where a Kubernetes node is asked for, or helm. */
  readonly only?: 'node' | 'helm';
  readonly packages: readonly string[];
  readonly tags?: readonly string[];
  /** The module in its go.mod whose version is the tool's own; absent: the sources are all here. */
  readonly module?: string;
  readonly ldflags: (version: string) => string;
  /** Made beside the binaries. */
  readonly links?: Readonly<Record<string, string>>;
  /** How long compiling takes from an empty cache on two cores, for the display. */
  readonly about?: string;
}

const stripped = '-s -w';
const containerd = 'github.com/containerd/containerd/v2';
const helm = 'helm.sh/helm/v4';
const networkPlugins = 'github.com/containernetworking/plugins/plugins';

/** In the order in which they are compiled. The first one runs the compilers of the others. */
export const tools: readonly Tool[] = [
  { name: 'supervise', packages: ['.'], ldflags: () => stripped },
  { name: 'pki', packages: ['.'], ldflags: () => stripped },
  {
    name: 'tailscale',
    packages: ['tailscale.com/cmd/tailscale', 'tailscale.com/cmd/tailscaled'],
    module: 'tailscale.com',
    ldflags: () => stripped,
    about: 'about 3 min',
  },
  {
    name: 'headscale',
    packages: ['github.com/juanfont/headscale/cmd/headscale'],
    module: 'github.com/juanfont/headscale',
    ldflags: () => stripped,
    about: 'about 2 min',
  },
  {
    name: 'kube',
    packages: ['.'],
    module: 'k8s.io/kubernetes',
    // Components refuse to work with each other unless they know their own version.
    ldflags: (version) => {
      const [major, minor] = version.split('.');
      const at = 'k8s.io/component-base/version';
      return `${stripped} -X ${at}.gitVersion=v${version} -X ${at}.gitMajor=${major} -X ${at}.gitMinor=${minor}`;
    },
    links: { kubectl: 'kube' },
    about: 'about 10 min',
  },
  { name: 'standin', packages: ['.'], module: 'k8s.io/cri-streaming', ldflags: () => stripped },
  { name: 'node', only: 'node', packages: ['.'], ldflags: () => stripped },
  { name: 'toolbox', only: 'node', packages: ['.'], ldflags: () => stripped },
  {
    name: 'containerd',
    only: 'node',
    packages: [
      ...['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => `${containerd}/cmd/${name}`),
      ...['main/bridge', 'main/loopback', 'ipam/host-local'].map((name) => `${networkPlugins}/${name}`),
    ],
    module: containerd,
    // What only other file systems and image formats need.
    tags: ['no_btrfs', 'no_zfs', 'no_devmapper', 'no_aufs', 'no_erofs', 'osusergo', 'netgo', 'urfave_cli_no_docs'],
    ldflags: (version) => `${stripped} -X ${containerd}/version.Version=v${version}`,
    about: 'about 2 min',
  },
  {
    name: 'coredns',
    only: 'node',
    packages: ['.'],
    module: 'github.com/coredns/coredns',
    ldflags: () => stripped,
    about: 'about 1 min',
  },
  {
    name: 'helm',
    only: 'helm',
    packages: [`${helm}/cmd/helm`],
    module: helm,
    ldflags: (version) => `${stripped} -X ${helm}/internal/version.version=v${version}`,
    about: 'about 2 min',
  },
];

/** Arguments of `go` that compile the tool into the directory. */
export function buildArguments(tool: Tool, outDir: string, version: string = toolVersion(tool)): string[] {
  const ldflags = tool.ldflags(version);
  const tags = tool.tags === undefined ? [] : [`-tags=${tool.tags.join(',')}`];
  return ['build', '-mod=readonly', '-trimpath', ...tags, `-ldflags=${ldflags}`, '-o', `${outDir}/`, ...tool.packages];
}

/** `1.36.3`, from the go.mod; `0` where the sources are all here. */
export function toolVersion(tool: Tool, read: ReadSource = readSource): string {
  if (tool.module === undefined) return '0';
  for (const line of read(tool.name, 'go.mod').split('\n')) {
    const [module, version] = line.replace('require ', '').trim().split(/\s+/);
    if (module === tool.module && version !== undefined) return version.replace(/^v/, '');
  }
  throw new Error(`dev/stack/go/${tool.name}/go.mod requires no ${tool.module}`);
}

/** `<tool>-<version>-<digest>`; the digest covers go.mod, go.sum, the Go files here, the flags and the platform. */
export function cacheKey(tool: Tool, files: readonly string[] = sources(tool), read: ReadSource = readSource): string {
  const hash = createHash('sha256');
  const add = (part: string): void => void hash.update(`${Buffer.byteLength(part)}:${part}`);
  const version = toolVersion(tool, read);
  for (const part of [process.platform, process.arch, ...buildArguments(tool, '', version)]) add(part);
  for (const [link, target] of Object.entries(tool.links ?? {})) add(`${link}=${target}`);
  for (const file of [...files].sort()) {
    add(file);
    add(read(tool.name, file));
  }
  return `${tool.name}-${version}-${hash.digest('hex').slice(0, 12)}`;
}

/** `$XDG_CACHE_HOME/tka`, by default `~/.cache/tka`. */
export function cacheDir(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const base = env['XDG_CACHE_HOME'];
  // The specification: a relative path in it is to be ignored.
  return join(base?.startsWith('/') === true ? base : join(homedir(), '.cache'), 'tka');
}

type ReadSource = (tool: string, file: string) => string;

function readSource(tool: string, file: string): string {
  return readFileSync(join(goDir, tool, file), 'utf8');
}

function sources(tool: Tool): string[] {
  return readdirSync(join(goDir, tool.name)).filter((file) => /\.go$|^go\.(mod|sum)$/.test(file));
}
