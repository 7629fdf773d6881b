/**
 * `tka-server rotate-key` where the server key is in a Secret: one patch, with the caller's credential, which is tka's own in its pod
 * and an administrator's elsewhere.
 */
import type { Logger } from 'pino';
import type { Config } from '../config/settings.ts';
import { connectCluster } from '../kubernetes/index.ts';
import { secretAt } from './secret.ts';
import { rotateServerKeySecret } from './server-key-secret.ts';

/** Resolves with what the Secret is called. */
export async function rotateKeyInCluster(
  config: Config,
  options: { readonly log: Logger; readonly version: string },
): Promise<string> {
  const kubernetes = connectCluster(config, options);
  try {
    const secret = secretAt(kubernetes, config['kubernetes.namespace'], config['api.serverKeySecret']);
    await rotateServerKeySecret(secret, AbortSignal.timeout(30_000));
    return secret.name;
  } finally {
    await kubernetes.close();
  }
}
