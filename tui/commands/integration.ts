/** `tka integration`: the code that a shell runs at its start so that `tka login` reaches into it. */
import type { IntegrationFlags, Shell } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

export async function integration(runtime: Pick<Runtime, 'stdout'>, { shell }: IntegrationFlags): Promise<void> {
  runtime.stdout.write(await scripts[shell]());
}

const scripts: Readonly<Record<Shell, () => Promise<string>>> = {
  bash: async () => (await import('../shell/integration/bash.ts')).bash,
  zsh: async () => (await import('../shell/integration/zsh.ts')).zsh,
  fish: async () => (await import('../shell/integration/fish.ts')).fish,
  powershell: async () => (await import('../shell/integration/powershell.ts')).powershell,
};
