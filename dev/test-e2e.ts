/**
 * `npm run test:e2e`: the end-to-end tests, or with `-- ROOM` those of one room, as CI runs them side by side. Arguments that
 * begin with a dash go to ava: `npm run test:e2e -- proxy --match='*watch*'`.
 *
 * Builds the tools, the engine and the bundles first, which takes seconds where nothing changed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The first that matches a file's name has it; the last has all others, so that no new file is left out. */
const rooms = {
  node: /^(?:node|pod|proxy-node)\b/,
  proxy: /^proxy/,
  command: /^(?:clusters|ctrl-c|doctor|join|kubeconfig|shell|terminals|tui)/,
  sessions: /^(?:access|reconciler|replicas|sessions)/,
  server: /^/,
} as const;

export type Room = keyof typeof rooms;
export const roomNames = Object.keys(rooms) as readonly Room[]; // its own keys

export function roomOf(file: string): Room {
  return roomNames.find((name) => rooms[name].test(file)) ?? 'server';
}

export async function endToEndTests(): Promise<readonly string[]> {
  return (await readdir(join(root, 'e2e'))).filter((file) => file.endsWith('.test.ts')).toSorted();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  const wanted = given.filter((argument) => !argument.startsWith('-'));
  const unknown = wanted.filter((name) => !roomNames.some((room) => room === name));
  if (unknown.length > 0) {
    console.error(`unknown room ${unknown.join(', ')} (rooms: ${roomNames.join(', ')})`);
    process.exit(2);
  }
  const files = (await endToEndTests()).filter((file) => wanted.length === 0 || wanted.includes(roomOf(file)));
  await run('node', ['dev/stack/main.ts', 'build']);
  await run('ava', [
    ...files.map((file) => `e2e/${file}`),
    '--concurrency=2',
    ...given.filter((argument) => argument.startsWith('-')),
  ]);
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { cwd: root, stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null]; // node:child_process
  if (code !== 0) process.exit(code ?? 1);
}
