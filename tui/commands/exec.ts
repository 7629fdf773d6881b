/** `tka exec`: one command in a session of its own; with --join, on a tailnet that this process joins for as long. */
import { usageError } from '../errors.ts';
import type { ExecFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import type { Runtime } from '../runtime.ts';
import { runCommand } from '../shell/shell.ts';

/** Resolves to the child's exit code. */
export async function exec(runtime: Runtime, flags: ExecFlags): Promise<number> {
  if (flags.command.length === 0) {
    throw usageError('no command given', ['Give it after --, for example: tka exec -- kubectl get pods']);
  }
  const interaction = plainInteraction(runtime, flags);
  if (flags.join !== true) return runCommand(runtime, flags, { interaction });
  const joined = await (await import('../tailnet/join.ts')).joinTailnet(runtime, flags);
  try {
    return await runCommand(joined.runtime, flags, { interaction, env: joined.env });
  } finally {
    await joined[Symbol.asyncDispose]();
  }
}
