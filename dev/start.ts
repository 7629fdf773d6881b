/**
 * `npm start`: the server against the cluster of the current kubeconfig context and the tailnet of TS_AUTHKEY.
 *
 * Says which objects of manifests/cluster the cluster lacks or has otherwise, and changes nothing unless `--apply` is given.
 * The server then runs as tka's own account, by impersonation from the caller's context, so that it holds the rights
 * and meets the admission policies it will have in a pod. The kubeconfig for that is a 0600 file in a temporary
 * directory, which goes when the server does. Further arguments are the server's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildBundles } from './build-bundles.ts';
import { buildEngine } from './build-engine.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** All but the server itself, which runs here. */
const manifests = join(root, 'manifests/cluster');
const replicas = 'jsonpath={.spec.replicas}';
const ownAccount = 'system:serviceaccount:tka-system:tka';
/** By this field of a user the admission policies distinguish the account from its impersonation. */
const credentialId = 'authentication.kubernetes.io/credential-id';

const { values, positionals } = parseArgs({
  options: {
    apply: { type: 'boolean', default: false },
    context: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
if (values.help) help();
else await main();

function help(): void {
  process.stdout.write(
    'TS_AUTHKEY=... npm start -- [--apply] [--context NAME] [-- SERVER FLAGS]\n\n' +
      '  --apply         apply manifests/cluster to the cluster first\n' +
      '  --context NAME  a kubeconfig context other than the current one\n',
  );
}

async function main(): Promise<void> {
  const kubeconfig = kubectl(['config', 'view', '--minify', '--flatten', '--raw', '-o', 'json']);
  if (kubeconfig === undefined || !install()) {
    process.exitCode = 1;
    return;
  }

  await buildEngine();
  await buildBundles();

  const directory = mkdtempSync(join(tmpdir(), 'tka-start-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'kubeconfig');
  writeFileSync(file, asOwnAccount(kubeconfig), { mode: 0o600 });

  // In this process, so that it gets each signal once.
  const server = join(root, 'dist/tka-server.js');
  process.argv = [process.execPath, server, 'serve', '--kubernetes-kubeconfig', file, ...positionals];
  await import(pathToFileURL(server).href);
}

/** True when the cluster has what manifests/cluster says, and no server of its own. */
function install(): boolean {
  const running = kubectl(['get', 'statefulset', 'tka', '-n', 'tka-system', '--ignore-not-found', '-o', replicas]);
  if (running === undefined) return false;
  if (Number(running) > 0) {
    process.stderr.write(
      'tka runs in this cluster already. To run it here instead: kubectl scale statefulset tka -n tka-system --replicas=0\n',
    );
    return false;
  }
  const wanted = kubectl(['kustomize', manifests], false);
  if (wanted === undefined) return false;
  if (values.apply) {
    return kubectl(['apply', '-k', manifests], true, 'inherit') !== undefined;
  }
  const found = present(wanted);
  if (found === undefined) return false;
  const missing = parseAllDocuments(wanted)
    .map((document) => nameOf(document.toJS()))
    .filter((name) => !found.has(name));
  if (missing.length > 0) return refuse('lacks', missing);
  const diff = spawnSync('kubectl', [...contextArgs(), 'diff', '-k', manifests], { encoding: 'utf8' });
  if (diff.status === 0) return true;
  const changed = [...diff.stdout.matchAll(/^\+\+\+ \S*\/(\S+)/gm)].map((match) => match[1] ?? '');
  if (changed.length > 0) return refuse('has otherwise', changed);
  process.stderr.write(`kubectl diff -k manifests/cluster did not answer for the cluster:\n${diff.stderr}`);
  return false;
}

function refuse(how: string, names: readonly string[]): false {
  process.stderr.write(
    `The cluster ${how}, of manifests/cluster:\n${names.map((name) => `  ${name}\n`).join('')}` +
      'Apply all of it with: npm start -- --apply\n',
  );
  return false;
}

/** Those of the objects that the cluster has, whatever is in them. */
function present(text: string): ReadonlySet<string> | undefined {
  const args = [...contextArgs(), 'get', '--ignore-not-found', '-o', 'json', '-f', '-'];
  const { stdout, stderr, status } = spawnSync('kubectl', args, { input: text, encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(stderr);
    return undefined;
  }
  if (stdout.trim() === '') return new Set();
  const answer = JSON.parse(stdout) as { items?: unknown[] };
  return new Set((answer.items ?? [answer]).map(nameOf));
}

/** `kind/name`; every object of manifests/cluster has both. */
function nameOf(object: unknown): string {
  const { kind, metadata } = object as { kind: string; metadata: { name: string } };
  return `${kind.toLowerCase()}/${metadata.name}`;
}

function asOwnAccount(kubeconfig: string): string {
  // kubectl's own output: one context with its cluster and user.
  const parsed = JSON.parse(kubeconfig) as { users: { user: Record<string, unknown> }[] };
  for (const { user } of parsed.users)
    Object.assign(user, { as: ownAccount, 'as-user-extra': { [credentialId]: ['npm-start'] } });
  return JSON.stringify(parsed);
}

function contextArgs(): string[] {
  return values.context === undefined ? [] : ['--context', values.context];
}

/** Standard output, or undefined after saying what went wrong. */
function kubectl(args: readonly string[], useContext = true, stdout: 'pipe' | 'inherit' = 'pipe'): string | undefined {
  const result = spawnSync('kubectl', [...(useContext ? contextArgs() : []), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', stdout, 'pipe'],
  });
  if (result.error !== undefined) {
    process.stderr.write(`kubectl cannot be run (${result.error.message}): install it and put it on PATH.\n`);
    return undefined;
  }
  if (result.status !== 0) {
    process.stderr.write(result.stderr);
    return undefined;
  }
  return result.stdout ?? '';
}
