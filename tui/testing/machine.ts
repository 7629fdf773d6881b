/** A machine where a login would work, with a server, a tailscaled, a kubeconfig and a kubectl, any of which a test may break. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { doctor } from '../commands/doctor.ts';
import type { DoctorFlags } from '../flags.ts';
import { type Handler, sendJson, startStubServer } from './stub-server.ts';
import { createTestRuntime, startTailscaled, type Status, statusOf, type TestRuntime } from './tailscaled.ts';

export interface Machine {
  readonly runtime: TestRuntime;
  readonly server: string;
  /** Runs it, and resolves with the exit code and the findings by name. */
  readonly examine: (flags?: DoctorFlags) => Promise<{ code: number; findings: Record<string, Found> }>;
}

interface Found {
  readonly state: string;
  readonly finding: string;
  readonly remedy?: readonly string[];
}

export interface Options {
  readonly answers?: Readonly<Record<string, Handler>>;
  /** Of the local tailscaled; null: there is none. */
  readonly status?: Status | null;
  readonly config?: string;
}

export const peer = { id: 'nTka', name: 'tka', tags: ['tag:tka'], address: '127.0.0.1' };
export const rule = { role: 'view', period: '8h', priority: 10 };
export const whoami = {
  subject: 'controlplane.tailscale.com|user:1',
  username: 'alice@example.com',
  node: 'laptop',
  tags: [],
  rules: [rule],
  dropped: [],
};
export const answering =
  (body: unknown, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    sendJson(response, 200, body, headers);

/** A machine where all is well, but for what the test says. */
export async function createMachine(
  t: ExecutionContext,
  { answers = {}, status, config }: Options = {},
): Promise<Machine> {
  const stub = await startStubServer();
  t.teardown(() => stub.close());
  stub.answer('GET /api/v1alpha1/whoami', answering(whoami));
  for (const [call, handler] of Object.entries(answers)) stub.answer(call, handler);
  const tailscaled = status === null ? undefined : await startTailscaled(t, status ?? statusOf([peer]));
  const server = `http://tka:${new URL(stub.url).port}`;
  const runtime = createTestRuntime(t, {
    ...(tailscaled === undefined ? {} : { socket: tailscaled.socket }),
    ...(config === undefined ? {} : { config }),
  });
  const bin = join(runtime.home, 'bin');
  mkdirSync(bin);
  const env = { ...runtime.env, PATH: `${bin}:/usr/bin:/bin`, TKA_SERVER: server };
  const machine = { ...runtime, env, script: join(bin, 'tka') };
  const known = { servers: [{ server, nodeId: 'nTka', tags: ['tag:tka'], cluster: 'prod' }] };
  mkdirSync(join(runtime.home, '.config', 'tka'), { recursive: true });
  writeFileSync(join(runtime.home, '.config', 'tka', 'known-servers.json'), JSON.stringify(known));
  writeProgram(join(bin, 'tka'), '');
  writeKubectl(bin);
  writeKubeconfig(runtime.home, { server });
  return {
    runtime: machine,
    server,
    async examine(flags = {}) {
      const before = runtime.out.text.length;
      const code = await doctor(machine, { output: 'json', ...flags });
      const { checks } = JSON.parse(runtime.out.text.slice(before)) as { checks: (Found & { name: string })[] };
      return { code, findings: Object.fromEntries(checks.map(({ name, ...found }) => [name, found])) };
    },
  };
}

function writeProgram(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

const review = { status: { resourceRules: [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }] } };

/** What it says is kubectl's; that the real one says so is a matter of e2e/doctor.test.ts. */
export function writeKubectl(
  bin: string,
  { version = 'v1.36.1', said = `echo '${JSON.stringify(review)}'` } = {},
): void {
  const client = JSON.stringify({ clientVersion: { gitVersion: version } });
  writeProgram(join(bin, 'kubectl'), `case $1 in version) echo '${client}' ;; *) ${said} ;; esac`);
}

export function writeKubeconfig(
  home: string,
  { server, user = 'tka-prod' }: { server: string; user?: string },
): string {
  const extensions = [{ name: 'tka.specht-labs.de/session', extension: { server, session: 'alice-0123456789' } }];
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'tka', args: ['credential'] };
  const config = {
    clusters: [{ name: 'tka-prod', cluster: { server: 'https://127.0.0.1:6443', extensions } }],
    users: [{ name: user, user: { exec, extensions } }],
    contexts: [{ name: 'tka-prod', context: { cluster: 'tka-prod', user: 'tka-prod', extensions } }],
    'current-context': 'tka-prod',
  };
  const path = join(home, '.kube', 'config');
  mkdirSync(join(home, '.kube'), { recursive: true });
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
