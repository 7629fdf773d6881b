/**
 * Resident memory of the server and its engine, idle: a fresh start, ready, and nothing asked of it for three seconds.
 * Leaves the server running.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Stack } from '../dev/stack/stack.ts';
import type { Settings } from '../dev/stack/tka-server.ts';
import { quantile, spread } from './rounds.ts';

interface MemoryOptions {
  readonly config: Settings;
  readonly rounds: number;
  readonly onRound: (round: number) => void;
}

export async function measureMemory(stack: Stack, { config, rounds, onRound }: MemoryOptions): Promise<string> {
  const server: number[] = [];
  const engine: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    await stack.restartTka({ config });
    await delay(3000);
    const { pid } = stack.tka;
    const children = await childrenOf(pid);
    server.push(await residentMiB(pid));
    engine.push((await Promise.all(children.map(residentMiB))).reduce((sum, size) => sum + size, 0));
    onRound(round);
  }
  const both = server.map((size, round) => size + (engine[round] ?? 0));
  return [
    `### Memory, idle (${rounds} starts; median and quartiles, MiB resident; highest ${quantile(both, 1).toFixed(0)})`,
    '',
    '| server | engine | both |',
    '|---|---|---|',
    `| ${spread(server, 0)} | ${spread(engine, 0)} | ${spread(both, 0)} |`,
    '',
  ].join('\n');
}

export async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number);
}

export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}
