/**
 * The `tka` command as a whole process, from start to end, beside `node -e 0` in the same rounds: what of it is Node
 * itself, nobody can take away.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Stack } from '../dev/stack/stack.ts';
import { interleave, ratios, spread } from './rounds.ts';

interface CommandOptions {
  readonly user: string;
  readonly rounds: number;
  readonly onRound: (round: number) => void;
}

const command = fileURLToPath(new URL('../dist/tka.js', import.meta.url));

export async function measureCommand(stack: Stack, { user, rounds, onRound }: CommandOptions): Promise<string> {
  const env = { ...stack.userEnv(user), TKA_SERVER: stack.tka.url };
  const run = (args: readonly string[]): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const started = performance.now();
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(performance.now() - started);
      else reject(new Error(`${args.join(' ')}: ${code} ${stderr}`));
    });
    return promise;
  };
  const samples = await interleave(
    rounds,
    {
      'node -e 0': () => run(['-e', '0']),
      'tka version --client': () => run([command, 'version', '--client']),
      'tka login --non-interactive': async () => {
        const time = await run([command, 'login', '--non-interactive']);
        await run([command, 'logout']);
        return time;
      },
    },
    onRound,
  );
  return [
    `### The command, whole process (${rounds} rounds; median and quartiles)`,
    '',
    '| what | ms | ratio to `node -e 0` |',
    '|---|---|---|',
    ...Object.entries(samples).map(
      ([name, values]) => `| \`${name}\` | ${spread(values, 0)} | ${spread(ratios(samples, name, 'node -e 0'), 1)} |`,
    ),
    '',
  ].join('\n');
}
