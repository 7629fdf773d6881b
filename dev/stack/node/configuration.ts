/**
 * The configuration files of what a node is made of, each with nothing in it that another node on the same machine has
 * too. Paths are absolute. What runs in the node has a private /run; all else is in the node's directory.
 */
import { join } from 'node:path';

import type { NodeAddresses } from './addresses.ts';

export const pauseImage = 'tka.test/pause:1';
export const toolboxImage = 'tka.test/toolbox:1';
export const containerdSocket = '/run/containerd/containerd.sock';

export const ports = { kubelet: 10250, kubeletHealth: 10248, proxyHealth: 10256, dnsReady: 8181 } as const;

export interface ContainerdPaths {
  readonly dir: string;
  readonly shim: string;
  readonly runc: string;
  readonly pluginDir: string;
  readonly cniDir: string;
}

/** TOML. A quoted string in JSON is one in TOML too. */
export function containerdConfig(paths: ContainerdPaths): string {
  const at = (path: string): string => JSON.stringify(path);
  return `version = 3
root = ${at(join(paths.dir, 'containerd'))}
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = ${at(containerdSocket)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${at(join(paths.dir, 'opt'))}

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = ${at(pauseImage)}

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = ${at(paths.shim)}
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = ${at(paths.runc)}
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [${at(paths.pluginDir)}]
    conf_dir = ${at(paths.cniDir)}
`;
}

/** A bridge of the node's own; it enforces no NetworkPolicy. */
export function cniConfig(dir: string, { pods }: NodeAddresses): unknown {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(dir, 'cni-addresses'),
          ranges: [[{ subnet: pods }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

export interface KubeletPaths {
  readonly dir: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly resolvConf: string;
}

export function kubeletConfig(paths: KubeletPaths, { name, node }: NodeAddresses): Record<string, unknown> {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    // The API server shows its certificate; what others may do here, it is asked.
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: paths.caFile } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: paths.certFile,
    tlsPrivateKeyFile: paths.keyFile,
    address: node,
    port: ports.kubelet,
    healthzBindAddress: '127.0.0.1',
    healthzPort: ports.kubeletHealth,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${name}`,
    failSwapOn: false,
    oomScoreAdj: 0,
    // The machine's disk is not the stack's to tidy.
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    volumePluginDir: join(paths.dir, 'volume-plugins'),
    podLogsDir: join(paths.dir, 'pod-logs'),
    serializeImagePulls: false,
    syncFrequency: '5s',
    clusterDNS: [node],
    clusterDomain: 'cluster.local',
    resolvConf: paths.resolvConf,
  };
}

export function proxyConfig(kubeconfig: string, { name, node, pods }: NodeAddresses): Record<string, unknown> {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig },
    hostnameOverride: name,
    clusterCIDR: pods,
    // These limits are the whole kernel's.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    oomScoreAdj: 0,
    metricsBindAddress: '127.0.0.1:10249',
    healthzBindAddress: `${node}:${ports.proxyHealth}`,
  };
}

/** Names of Services and pods, and `host.tka.test` for the machine; nothing else resolves. */
export function corefile(kubeconfig: string, { host, node }: NodeAddresses): string {
  return `.:53 {
  ready ${node}:${ports.dnsReady}
  errors
  hosts {
    ${host} host.tka.test
    fallthrough
  }
  kubernetes cluster.local {
    kubeconfig ${kubeconfig}
  }
}
`;
}

/** Where the Service `kubernetes` leads: the API server knows no address of its own that a pod could reach. */
export function apiEndpoints({ host }: NodeAddresses, port: number): Record<string, unknown> {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [host], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
}
