/**
 * The `tka` command as a whole process, from start to end, beside `node -e 0` in the same rounds: what of it is Node
 * itself, nobody can take away.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
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
  // A terminal to draw on, made by util-linux' script; what it costs itself is measured too.
  const inTerminal = (args: readonly string[], until: RegExp | undefined): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const line = [process.execPath, ...args].map((word) => `'${word}'`).join(' ');
    const started = performance.now();
    const child = spawn('script', ['-qfec', line, '/dev/null'], {
      env: { ...env, TERM: 'xterm-256color' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let output = '';
    let shownAt: number | undefined;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (shownAt !== undefined || until?.test(output) !== true) return;
      shownAt = performance.now();
      child.stdin.write('q');
    });
    child.once('error', reject);
    child.once('close', () => {
      if (until === undefined) resolve(performance.now() - started);
      else if (shownAt === undefined) reject(new Error(`${line} drew nothing: ${output}`));
      else resolve(shownAt - started);
    });
    return promise;
  };
  await run([command, 'login', '--non-interactive']);
  const credential = await pluginCall(env);
  const samples = await interleave(
    rounds,
    {
      'node -e 0': () => run(['-e', '0']),
      'tka version --client': () => run([command, 'version', '--client']),
      'tka credential, cached': () => run([command, ...credential]),
      'node -e 0, in a terminal': () => inTerminal(['-e', '0'], undefined),
      // The title is in the first frame that is drawn.
      'tka, first frame in a terminal': () => inTerminal([command], /tka/),
      'tka login --non-interactive': async () => {
        // A second login gets the same session again, which is quicker.
        await run([command, 'logout']);
        return run([command, 'login', '--non-interactive']);
      },
    },
    onRound,
  );
  const reference = (name: string): string => (name.endsWith('terminal') ? 'node -e 0, in a terminal' : 'node -e 0');
  return [
    `### The command, whole process (${rounds} rounds; median and quartiles)`,
    '',
    '| what | ms | ratio to `node -e 0` |',
    '|---|---|---|',
    ...Object.entries(samples).map(
      ([name, values]) =>
        `| \`${name}\` | ${spread(values, 0)} | ${spread(ratios(samples, name, reference(name)), 1)} |`,
    ),
    '',
  ].join('\n');
}

/** What kubectl is told to run, as the login has written it. */
async function pluginCall(env: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const kubeconfig = parse(await readFile(env['KUBECONFIG'] ?? '', 'utf8')) as {
    readonly users: readonly { readonly user: { readonly exec?: { readonly args: readonly string[] } } }[];
  };
  const args = kubeconfig.users.at(-1)?.user.exec?.args ?? [];
  return args.slice(args.indexOf('credential'));
}
