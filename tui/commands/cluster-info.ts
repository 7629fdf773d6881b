/** `tka cluster-info`: where the server says that the API server is, and how to trust it. Only shown: nothing follows from it. */
import { lookMs, reach } from '../connection/connect.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { ClusterInfoFlags } from '../flags.ts';
import { createWords, printable, renderTable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { plainInteraction } from '../terminal/interaction.ts';

export async function clusterInfo(runtime: Runtime, flags: ClusterInfoFlags): Promise<void> {
  const { signal } = runtime;
  const words = createWords(runtime, flags.quiet === true);
  const warn = (line: string): void => words.warn(line);
  const onWait = (line: string): void => words.say(line);
  const interaction = plainInteraction(runtime, flags);
  const reached = await reach(runtime, flags, { purpose: 'look', interaction, warn, onWait, signal });
  try {
    const info = await reached.api.clusterInfo({ signal, timeoutMs: flags.timeoutMs ?? lookMs });
    const url = printable(info.server_url, 300);
    const labels = Object.entries(info.labels).map(
      ([key, value]) => [printable(key, 63), printable(value, 63)] as const,
    );
    const value = {
      server: reached.server,
      server_url: url,
      insecure_skip_tls_verify: info.insecure_skip_tls_verify,
      ca_data: printable(info.ca_data, 100_000),
      labels: Object.fromEntries(labels),
    };
    if (flags.output !== undefined) {
      await writeData(runtime, flags.output, value, url);
      return;
    }
    const authority = info.insecure_skip_tls_verify ? 'not verified' : 'system roots';
    const rows = [
      ['server', reached.server],
      ['cluster', url],
      ['CA', info.ca_data === '' ? authority : 'custom (see -o json)'],
      ...labels.map(([key, text]) => ['label', `${key}=${text}`]),
    ];
    runtime.stdout.write(renderTable(rows));
  } finally {
    reached.close();
  }
}
