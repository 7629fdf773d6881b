/**
 * The engine's environment, name by name: a tailnet peer with debug rights can read it, so nothing gets there by chance,
 * and no secret ever. Proxies and certificates are passed on because the control server may be reachable no other way.
 */
import type { NodeOptions } from './node.ts';

const PASSED_ON = [
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'https_proxy',
  'http_proxy',
  'no_proxy',
  'all_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'TMPDIR',
  'TZ',
] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

export function engineEnvironment(
  options: Pick<NodeOptions, 'caFile' | 'uploadLogs'>,
  own: Environment,
  memoryLimitBytes: number = process.constrainedMemory(),
): Record<string, string> {
  const environment: Record<string, string> = {
    GOMEMLIMIT: memoryLimit(memoryLimitBytes),
    // A peer that vanished (a closed laptop) is noticed in about two minutes and not after two hours.
    TS_NETSTACK_KEEPALIVE_IDLE: '60s',
    TS_NETSTACK_KEEPALIVE_INTERVAL: '15s',
  };
  for (const name of PASSED_ON) {
    const value = own[name];
    if (value) environment[name] = value;
  }
  if (options.caFile) environment['SSL_CERT_FILE'] = options.caFile;
  if (!options.uploadLogs) environment['TS_NO_LOGS_NO_SUPPORT'] = 'true';
  return environment;
}

/**
 * Without a limit bulk transfers leave the engine at 500 MB and more; with less than 256 MiB it gets slower. Of a container
 * too small for that, it may have a third. What is unlimited says so by 0 or by more than there is.
 */
function memoryLimit(limitBytes: number): string {
  const third = Math.floor(limitBytes / 3 / 2 ** 20);
  return `${third > 0 && third < 256 ? Math.max(third, 32) : 256}MiB`;
}
