/** `tka cluster-info`: where the server says that the API server is, and how to trust it. Only shown: nothing follows from it. */
import { lookAt } from '../connection/look.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { ClusterInfoFlags } from '../flags.ts';
import { printable, renderTable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export async function clusterInfo(runtime: Runtime, flags: ClusterInfoFlags): Promise<void> {
  const { server, info } = await lookAt(runtime, flags, async ({ server, api }, call) => ({
    server,
    info: await api.clusterInfo(call),
  }));
  const url = printable(info.server_url, 300);
  const labels = Object.entries(info.labels).map(([key, value]) => [printable(key, 63), printable(value, 63)] as const);
  if (flags.output !== undefined) {
    const value = {
      server,
      server_url: url,
      insecure_skip_tls_verify: info.insecure_skip_tls_verify,
      ca_data: printable(info.ca_data, 100_000),
      labels: Object.fromEntries(labels),
    };
    return writeData(runtime, flags.output, value, url);
  }
  const authority = info.insecure_skip_tls_verify ? 'not verified' : 'system roots';
  const rows = [
    ['server', server],
    ['cluster', url],
    ['CA', info.ca_data === '' ? authority : 'custom (see -o json)'],
    ...labels.map(([key, text]) => ['label', `${key}=${text}`]),
  ];
  runtime.stdout.write(renderTable(rows));
}
