/**
 * `tka kubeconfig`: a kubeconfig with the token in it, on stdout, for a program that runs no plugin or another machine's
 * tool. It is built here from what was checked; no file is touched.
 */
import type { Mode } from '../../node/http/contract.ts';
import { connect } from '../connect.ts';
import { UserError } from '../errors.ts';
import { fetchAccess, withinDeadline } from '../login.ts';
import type { Runtime } from '../runtime.ts';

export interface KubeconfigFlags {
  readonly server?: string;
  readonly session?: string;
  readonly mode?: Mode;
  readonly insecureSkipTlsVerify?: boolean;
  readonly timeoutMs: number;
}

export async function kubeconfig(runtime: Runtime, flags: KubeconfigFlags): Promise<void> {
  const connection = await connect(runtime, flags.server);
  try {
    const { api, server } = connection;
    const { session, mode, timeoutMs } = flags;
    const access = await withinDeadline({ server, timeoutMs, signal: runtime.signal }, (signal) =>
      fetchAccess({ api, server, session, mode, signal }),
    );
    if (access.insecureSkipTlsVerify && access.ca === undefined && flags.insecureSkipTlsVerify !== true) {
      throw new UserError(`${server} asks kubectl to trust any certificate of ${access.url}`, [
        'If that is what you want: --insecure-skip-tls-verify',
      ]);
    }
    const { renderKubeconfig } = await import('../kubeconfig-file.ts');
    const { name, url, ca, token, namespace } = access;
    const trust = ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
    const insecure = ca === undefined && access.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {};
    const content = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: url, ...trust, ...insecure } }],
      users: [{ name, user: { token } }],
      contexts: [{ name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } }],
      'current-context': name,
    };
    runtime.stdout.write(renderKubeconfig(content));
  } finally {
    connection.close();
  }
}
