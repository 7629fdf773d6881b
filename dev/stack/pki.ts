/**
 * The certificate authority of one stack, and what it signs. All of it is made in one go by the `pki` program, because
 * Node can read certificates but not make them.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
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
} as const;
export type CertificateName = keyof typeof certificates;

export async function createPki(processes: Processes, pkiPath: string, signal?: AbortSignal): Promise<Pki> {
  const dir = join(processes.dir, 'pki');
  await mkdir(dir, { mode: 0o700 });
  const request = {
    dir,
    certificates: Object.entries(certificates).map(([name, certificate]) => ({ name, ...certificate })),
    keys: ['service-accounts'],
  };
  const { code, stderr } = await processes.run(
    { command: pkiPath, args: [] },
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
