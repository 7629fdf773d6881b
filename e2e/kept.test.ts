/**
 * A server that keeps nothing on disk: its machine on the tailnet, its CA and its server key are in Secrets, written with the rights of
 * manifests/ alone. What it finds there after a restart, a kill, an outage or somebody's hand; and other ways to join than
 * a key. One stack for the whole file.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { policyOf } from '../dev/stack/policy.ts';
import { startStack } from '../dev/stack/stack.ts';
import type { Stack } from '../dev/stack/stack.ts';
import type { TkaOverrides } from '../dev/stack/tka-server.ts';
import { Person } from './person.ts';

const alice = 'alice@example.com';
const manifests = fileURLToPath(new URL('../manifests', import.meta.url));

let stack: Stack;
let runs = 0;

/** All the disk that the present run has. */
const home = (): string => join(stack.dir, 'empty', String(runs));

/** A run with an empty disk. */
function run(overrides: TkaOverrides = {}): TkaOverrides {
  runs += 1;
  mkdirSync(home(), { recursive: true });
  return {
    ...overrides,
    config: {
      ...overrides.config,
      tailscale: {
        stateDir: undefined,
        stateSecret: 'tka-0-state',
        ...(overrides.config?.['tailscale'] as object | undefined),
      },
      api: { serverKeySecret: 'tka-server-key' },
    },
    env: { HOME: home(), XDG_STATE_HOME: home(), TMPDIR: home(), ...overrides.env },
  };
}

test.before(async (t) => {
  t.timeout(180_000);
  stack = await startStack({ users: [alice], policy: policyOf(), tka: false });
  await stack.startTka(run());
});
test.after.always(() => stack?.close());

const kubectl = async (args: readonly string[], input = ''): Promise<string> => {
  const { code, stdout, stderr } = await stack.kubectl(args, { input });
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

/** Headscale's numbers of all nodes that were ever this server. */
const machines = async (): Promise<readonly string[]> =>
  (await stack.headscale.nodes()).filter(({ hostname }) => hostname.startsWith('tka')).map(({ id }) => id);

const person = (): Person => new Person(stack, alice);

const ownCa = async (): Promise<string> => {
  const { body } = await person().send('/.well-known/tka');
  // The server's own answer; a field that it lacks makes the assertion fail.
  return (JSON.parse(body) as { readonly ca?: string }).ca ?? '';
};

/** By key, base64. */
const valuesOf = async (name: string): Promise<Readonly<Record<string, string>>> => {
  // A Secret, says kubectl.
  const { data = {} } = JSON.parse(await kubectl(['get', 'secret', name, '-n', 'tka-system', '-o', 'json'])) as {
    readonly data?: Readonly<Record<string, string>>;
  };
  return data;
};

const kill = async (): Promise<void> => {
  stack.killTka('SIGKILL');
  await stack.tka.exited;
};

test.serial('a restart with an empty disk is the same machine, with its CA and its key', async (t) => {
  await person().login('--mode', 'proxy', '--use');
  t.is((await person().kubectl('get', 'namespaces')).code, 0);
  const [before, ca] = [await machines(), await ownCa()];
  t.is(before.length, 1);
  t.regex(ca, /BEGIN CERTIFICATE/);

  await kill();
  await stack.startTka(run());
  t.deepEqual(await machines(), before);
  t.is(await ownCa(), ca);
  // By the token and the CA of before.
  const { code, stderr } = await person().kubectl('get', 'namespaces');
  t.is(code, 0, stderr);
});

test.serial('nothing that matters is on the disk, and nothing of it in the log', async (t) => {
  const [state, key] = [await valuesOf('tka-0-state'), await valuesOf('tka-server-key')];
  t.true(Object.keys(state).includes('_machinekey') && Object.keys(state).includes('own-ca.pem'));
  const secrets = [...Object.values(state), ...Object.values(key)].flatMap((text) => {
    const plain = Buffer.from(text, 'base64').toString();
    // What is secret in them: keys in hexadecimal, and the lines of PEM.
    return [text, ...(plain.match(/[0-9a-f]{64}/g) ?? []), ...(plain.match(/^[A-Za-z0-9+/=]{60,}$/gm) ?? [])];
  });
  const isPublic = new Set((await ownCa()).match(/^[A-Za-z0-9+/=]{60,}$/gm));
  const known = secrets.filter((secret) => secret.length >= 40 && !isPublic.has(secret));
  t.true(known.length >= 6);
  const files = readdirSync(home(), { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const texts = files.map((file) => readFileSync(join(file.parentPath, file.name), 'utf8'));
  t.true(texts.length > 0);
  for (const secret of known) {
    t.false(stack.tka.readLog().includes(secret));
    t.false(texts.some((text) => text.includes(secret)));
  }
});

test.serial('applying the manifests again takes nothing away', async (t) => {
  const before = [await valuesOf('tka-0-state'), await valuesOf('tka-server-key')];
  await kubectl(['apply', '--server-side', '-k', manifests]);
  await kubectl(['apply', '--server-side', '--force-conflicts', '-k', manifests]);
  await kubectl(['apply', '-k', manifests]);
  await kubectl(['apply', '-k', manifests]);
  t.deepEqual([await valuesOf('tka-0-state'), await valuesOf('tka-server-key')], before);
});
