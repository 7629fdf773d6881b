/** What the kubectl on PATH is too old for, asked of it within two seconds. It decides nothing: a kubectl that does not say passes. */
import * as z from 'zod';
import { findProgram, runProgram } from '../files/programs.ts';
import type { Runtime } from '../runtime.ts';

/** A warning where kubectl cannot read an entry that runs a plugin of `client.authentication.k8s.io/v1`. */
export async function warningOfOldKubectl(runtime: Pick<Runtime, 'env' | 'signal'>): Promise<string | undefined> {
  const path = findProgram(runtime.env, 'kubectl');
  if (path === undefined) return undefined;
  const ran = await runProgram(runtime, path, ['version', '--client', '-o', 'json'], { timeoutMs: 2000 });
  if (ran.code !== 0) return undefined;
  const version = versionIn(ran.stdout);
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version ?? '') ?? [];
  if (version === undefined || major === undefined || Number(major) !== 1 || Number(minor) >= 24) return undefined;
  return `kubectl ${version} (${path}) cannot read this context: update it to 1.24 or newer, or use tka login --inline-token`;
}

function versionIn(text: string): string | undefined {
  try {
    const said = saidSchema.safeParse(JSON.parse(text));
    return said.success ? said.data.clientVersion.gitVersion : undefined;
  } catch {
    return undefined;
  }
}

// It becomes a line on a terminal.
const saidSchema = z.object({ clientVersion: z.object({ gitVersion: z.string().regex(/^v[\w.+-]{1,60}$/) }) });
