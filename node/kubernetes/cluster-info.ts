/**
 * Where users find the API server and how they trust it: from the configuration, from a ConfigMap, or from tka's own kubeconfig.
 *
 * Undefined where the address is unknown: then no kubeconfig for direct mode is handed out. The values are checked first: an https URL,
 * and a CA that is base64 of PEM certificates. Rejects with a ClusterInfoError that names the setting, the key and the remedy.
 */
import { parse } from 'yaml';
import * as z from 'zod';
import { certificates, httpsUrl } from '../config/api-endpoint.ts';
import { ConfigError } from '../config/index.ts';
import type { ClusterInfo } from '../http/contract.ts';
import type { Config } from '../config/settings.ts';

export interface ClusterInfoDeps {
  readonly config: Config;
  /** How tka itself reaches the API server; `isInCluster`: at an address that only pods can use. */
  readonly own: Found & { readonly isInCluster: boolean };
  /** Undefined where there is no such ConfigMap. */
  readConfigMap(namespace: string, name: string): Promise<Readonly<Record<string, string>> | undefined>;
}

/** The operator must change the configuration. */
export class ClusterInfoError extends ConfigError {}

interface Found {
  readonly server: string;
  /** Base64 of PEM. */
  readonly caData: string;
  readonly isInsecure: boolean;
}

export async function findClusterInfo(deps: ClusterInfoDeps): Promise<ClusterInfo | undefined> {
  const { config, own } = deps;
  const labels = { ...config['clusterInfo.labels'] };
  const explicit = config['clusterInfo.apiEndpoint'];
  const { where, found } = await (async (): Promise<{ where: string; found: Found | undefined }> => {
    if (config['clusterInfo.configMapRef.enabled']) {
      if (explicit !== '') {
        throw new ClusterInfoError(
          'clusterInfo.apiEndpoint and clusterInfo.configMapRef.enabled are both set: remove one of them',
        );
      }
      const namespace = config['clusterInfo.configMapRef.namespace'];
      const name = config['clusterInfo.configMapRef.name'];
      return { where: `ConfigMap ${namespace}/${name}`, found: await fromConfigMap(deps, namespace, name) };
    }
    if (explicit !== '') {
      const isInsecure = config['clusterInfo.insecureSkipTLSVerify'];
      return { where: 'clusterInfo', found: { server: explicit, caData: config['clusterInfo.caData'], isInsecure } };
    }
    if (!own.isInCluster) return { where: "tka's own kubeconfig", found: own };
    return { where: 'ConfigMap kube-public/cluster-info', found: await fromKubeadm(deps) };
  })();
  if (found === undefined) return undefined;
  return {
    server_url: checkedUrl(found.server, where),
    insecure_skip_tls_verify: found.isInsecure,
    ca_data: checkedCa(found.caData, where),
    labels,
  };
}

async function fromConfigMap(deps: ClusterInfoDeps, namespace: string, name: string): Promise<Found> {
  const { config } = deps;
  const data = await deps.readConfigMap(namespace, name);
  if (data === undefined) {
    throw new ClusterInfoError(`the ConfigMap ${namespace}/${name} of clusterInfo.configMapRef does not exist`);
  }
  const server = data[config['clusterInfo.configMapRef.keys.apiEndpoint']] ?? '';
  const caData = data[config['clusterInfo.configMapRef.keys.caData']] ?? '';
  if (server !== '') {
    return {
      server,
      caData,
      isInsecure: /^(true|1)$/i.test(data[config['clusterInfo.configMapRef.keys.insecure']] ?? ''),
    };
  }
  const key = config['clusterInfo.configMapRef.keys.kubeconfig'];
  const kubeconfig = data[key] ?? '';
  if (kubeconfig === '') {
    throw new ClusterInfoError(
      `the ConfigMap ${namespace}/${name} has neither the key ${config['clusterInfo.configMapRef.keys.apiEndpoint']} nor ${key}: clusterInfo.configMapRef.keys names them`,
    );
  }
  return fromKubeconfig(kubeconfig, `ConfigMap ${namespace}/${name}, key ${key}`);
}

/** kubeadm leaves the API server's public address there; not every cluster has it, and not every tka may read it. */
async function fromKubeadm(deps: ClusterInfoDeps): Promise<Found | undefined> {
  const data = await deps.readConfigMap('kube-public', 'cluster-info').catch(() => undefined);
  const kubeconfig = data?.['kubeconfig'];
  return kubeconfig === undefined ? undefined : fromKubeconfig(kubeconfig, 'ConfigMap kube-public/cluster-info');
}

const kubeconfigSchema = z.object({
  clusters: z
    .array(
      z.object({
        cluster: z.object({
          server: z.string().min(1),
          'certificate-authority-data': z.string().default(''),
          'insecure-skip-tls-verify': z.boolean().default(false),
        }),
      }),
    )
    .min(1),
});

/** Its first cluster, as released servers have it. */
function fromKubeconfig(text: string, where: string): Found {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 10 });
  } catch (error) {
    throw new ClusterInfoError(`the kubeconfig in ${where} is not YAML`, { cause: error });
  }
  const parsed = kubeconfigSchema.safeParse(value);
  const cluster = parsed.data?.clusters[0]?.cluster;
  if (cluster === undefined) throw new ClusterInfoError(`the kubeconfig in ${where} has no cluster with a server`);
  return {
    server: cluster.server,
    caData: cluster['certificate-authority-data'],
    isInsecure: cluster['insecure-skip-tls-verify'],
  };
}

function checkedUrl(server: string, where: string): string {
  const url = httpsUrl(server);
  if (url !== undefined) return url;
  throw new ClusterInfoError(
    `the API server's address in ${where} must be an https URL, not ${JSON.stringify(server)}`,
  );
}

function checkedCa(caData: string, where: string): string {
  const plain = certificates(caData);
  if (plain !== undefined) return plain;
  throw new ClusterInfoError(`the CA in ${where} must be base64 of PEM certificates`);
}
