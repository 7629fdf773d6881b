/**
 * `tka-server rotate-key` where the server key is in a Secret: one patch, by the credential of whoever runs it, which is tka's own in
 * its pod and an administrator's elsewhere.
 */
import { connectKubernetes } from '../kubernetes/connection.ts';
import { createLog } from '../observability/log.ts';
import { secretAt } from './secret.ts';
import { rotateServerKeySecret } from './server-key-secret.ts';
import type { Config } from '../config/settings.ts';

/** Resolves with what the Secret is called. */
export async function rotateKeyInCluster(config: Config, version: string): Promise<string> {
  const kubernetes = connectKubernetes({
    log: createLog('error'),
    version,
    ...(config['kubernetes.kubeconfig'] === '' ? {} : { kubeconfig: config['kubernetes.kubeconfig'] }),
    ...(config['kubernetes.context'] === '' ? {} : { context: config['kubernetes.context'] }),
  });
  try {
    const secret = secretAt(kubernetes, config['kubernetes.namespace'], config['api.serverKeySecret']);
    await rotateServerKeySecret(secret, AbortSignal.timeout(30_000));
    return secret.name;
  } finally {
    await kubernetes.close();
  }
}
