/**
 * The certificate authority of one stack, and what it signs. All of it is made in one go by the `pki` program, because
 * Node can read certificates but not make them.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { apiService } from './node/addresses.ts';
import type { NodeAddresses } from './node/addresses.ts';
import type { Processes } from './processes.ts';

export interface Pki {
  /** Paths of PEM files. */
  readonly caFile: string;
  cert(name: CertificateName): string;
  key(name: CertificateName): string;
  /** The pair that signs tokens of ServiceAccounts. */
  readonly accounts: { readonly keyFile: string; readonly publicKeyFile: string };
}

const loopback = ['localhost', '127.0.0.1'];
const certificates = {
  headscale: { commonName: 'headscale', hosts: loopback },
  apiserver: {
    commonName: 'kube-apiserver',
    hosts: [...loopback, 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
  },
  admin: { commonName: 'admin', organizations: ['system:masters'] },
  'controller-manager': { commonName: 'system:kube-controller-manager' },
  scheduler: { commonName: 'system:kube-scheduler' },
  // The API server's towards kubelets, and the one that stands in for a kubelet.
  'kubelet-client': { commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] },
  standin: { commonName: 'system:node:standin', organizations: ['system:nodes'], hosts: loopback },
} as const satisfies Record<string, Certificate>;

/** Of what runs in the node. */
const nodeCertificates = ({ name, node }: NodeAddresses) => ({
  kubelet: { commonName: `system:node:${name}`, organizations: ['system:nodes'], hosts: [name, node] },
  node: { commonName: `system:node:${name}`, organizations: ['system:nodes'] },
  'kube-proxy': { commonName: 'system:kube-proxy' },
});

export type CertificateName = keyof typeof certificates | keyof ReturnType<typeof nodeCertificates>;

interface Certificate {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** Of a server; none makes it a client's. */
  readonly hosts?: readonly string[];
}

export interface PkiOptions {
  readonly processes: Processes;
  /** Path of the `pki` program. */
  readonly pki: string;
  /** Of the cluster's node, where it has one. */
  readonly node?: NodeAddresses | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function createPki({ processes, pki, node, signal }: PkiOptions): Promise<Pki> {
  const dir = join(processes.dir, 'pki');
  await mkdir(dir, { mode: 0o700 });
  const request = {
    dir,
    certificates: Object.entries(certificatesFor(node)).map(([name, certificate]) => ({ name, ...certificate })),
    keys: ['service-accounts'],
  };
  const { code, stderr } = await processes.run(
    { command: pki, args: [] },
    { input: JSON.stringify(request), ...(signal === undefined ? {} : { signal }) },
  );
  if (code !== 0) throw new Error(`making certificates failed: ${stderr}`);
  return {
    caFile: join(dir, 'ca.crt'),
    cert: (name) => join(dir, `${name}.crt`),
    key: (name) => join(dir, `${name}.key`),
    accounts: { keyFile: join(dir, 'service-accounts.key'), publicKeyFile: join(dir, 'service-accounts.pub') },
  };
}

function certificatesFor(node: NodeAddresses | undefined): Record<string, Certificate> {
  if (node === undefined) return certificates;
  const { apiserver, headscale } = certificates;
  return {
    ...certificates,
    ...nodeCertificates(node),
    headscale: { ...headscale, hosts: [...headscale.hosts, node.host] },
    apiserver: {
      ...apiserver,
      hosts: [...apiserver.hosts, 'kubernetes.default.svc.cluster.local', apiService, node.host],
    },
  };
}
