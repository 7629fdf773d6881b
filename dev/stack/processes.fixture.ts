/**
 * A parent for `processes.test.ts` to kill: starts a service with a child, says where and which as JSON, and stays.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Processes } from './processes.ts';

const [, , supervise = ''] = process.argv;
const processes = new Processes({ dir: mkdtempSync(join(tmpdir(), 'tka-processes-')), supervise });
const args = ['-c', 'sleep 300 & echo $$ $!; wait'];
const child = await processes.start({ name: 'family', command: 'sh', args });
const pids = (): readonly number[] => readFileSync(child.log, 'utf8').trim().split(' ').map(Number);
await child.ready(() => pids().length === 2, { timeoutMs: 5000 });
console.log(JSON.stringify({ dir: processes.dir, pids: pids() }));
setInterval(() => undefined, 60_000);
