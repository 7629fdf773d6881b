/** What the tests of commands share: the real command, a server that answers as they say, and a look at what was written. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { buildCli, type Cli, createCli } from './cli.ts';
import { type Handler, sendJson, startStubServer, type StubServer } from './stub-server.ts';

export const session = 'alice-0123456789';
export const calls = {
  login: 'POST /api/v1alpha1/login',
  loginStatus: 'GET /api/v1alpha1/login',
  kubeconfig: 'GET /api/v1alpha1/kubeconfig',
  logout: 'POST /api/v1alpha1/logout',
  sessions: 'GET /api/v1alpha1/sessions',
  whoami: 'GET /api/v1alpha1/whoami',
  wellKnown: 'GET /.well-known/tka',
} as const;

export interface Setup {
  readonly stub: StubServer;
  readonly cli: Cli;
}

export type SetUp = (t: ExecutionContext, answers?: Readonly<Record<string, Handler>>) => Promise<Setup>;

/** Builds the command once for a file of tests; `remove` is for its end. */
export async function prepare(): Promise<{
  readonly script: string;
  readonly setup: SetUp;
  readonly remove: () => void;
}> {
  const directory = mkdtempSync(join(tmpdir(), 'tka-cli-'));
  const script = await buildCli(directory);
  const setup: SetUp = async (t, answers = {}) => {
    const stub = await startStubServer();
    t.teardown(() => stub.close());
    for (const [call, handler] of Object.entries(answers)) stub.answer(call, handler);
    return { stub, cli: createCli(t, script) };
  };
  return { script, setup, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export interface Kubeconfig {
  readonly clusters: readonly { name: string; cluster: Record<string, unknown> }[];
  readonly users: readonly {
    name: string;
    user: Record<string, unknown> & { exec?: { command: string; args: string[] } };
  }[];
  readonly contexts: readonly { name: string; context: Record<string, unknown> }[];
  readonly 'current-context': string;
}

export function readKubeconfigAt(path: string): Kubeconfig {
  // Written by the command under test; a wrong shape fails the assertion that looks at it.
  return parse(readFileSync(path, 'utf8')) as Kubeconfig;
}

export function filesUnder(directory: string): string[] {
  return existsSync(directory)
    ? readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [];
}

export const answers =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    sendJson(response, status, body, headers);

export const refusal = (status: number, code: string, message = 'no', advice: readonly string[] = []): Handler =>
  answers(status, { message, advice, code });

export const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();
