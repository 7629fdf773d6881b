/**
 * The name of the Go tka's released command, `ts-k8s-auth`, which stands in people's shell startup files: what they wrote there
 * keeps working.
 */
import { basename } from 'node:path';
import { shells } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export function isGoBinaryName({ script }: Pick<Runtime, 'script'>): boolean {
  return basename(script) === 'ts-k8s-auth';
}

/** `ts-k8s-auth shell bash` printed the shell integration; `shell` alone opened a shell, as it does now. */
export function translateGoArguments(argv: readonly string[]): readonly string[] {
  const [command, shell] = argv;
  const isIntegration = command === 'shell' && argv.length === 2 && shells.some((name) => name === shell);
  return isIntegration ? ['integration', ...argv.slice(1)] : argv;
}

/** What `eval "$(ts-k8s-auth login --quiet)"` evaluates. */
export async function exportStatement(kubeconfig: string): Promise<string> {
  const { quote } = await import('../shell/integration/quote.ts');
  return `export KUBECONFIG=${quote('bash', kubeconfig)}\n`;
}
