/**
 * `--join`: this process becomes a node of the tailnet for as long as a command runs, with the embedded engine and no
 * tailscaled. The caller disposes: the node is logged out, so that it leaves the tailnet at once, and nothing of it is
 * left on this machine. A join that fails or is interrupted leaves nothing either.
 *
 * Children reach the tailnet through a proxy on loopback, whose password only they are given. The auth key is not passed on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Identity, NodeState, TailnetNode } from '../../node/tsnet/index.ts';
import { exitCodes, UnreachableError, UserError } from '../errors.ts';
import { isThisMachine } from '../config/server-url.ts';
import type { ExecFlags } from '../flags.ts';
import { type JoinSettings, keyVariables, readJoinSettings } from './join-settings.ts';
import { createWords, printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export interface Joined extends AsyncDisposable {
  /** The one that was passed in, on the tailnet and without the auth key. */
  readonly runtime: Runtime;
  /** What is set in its environment besides: for children. Holds the proxy's password. */
  readonly env: Readonly<Record<string, string>>;
}

const adviceOnKeys = [
  'Make a new auth key (ephemeral, pre-approved, reusable where many jobs share it) and put it where TS_AUTHKEY comes from.',
  'It carries the tag that the policy grants a role to, and then --tags is best left out; else its owner must own those tags.',
];
const defaultTimeoutMs = 60_000;
/** Peers may arrive a while after the node is on the tailnet. */
const serverWithinMs = 5000;

export interface JoinDependencies {
  /** A signal that aborts after so many milliseconds. */
  readonly after: (ms: number) => AbortSignal;
}

/** Throws UserError: usage (2), a refused key (3), no control server or no tka server (4). Nothing is left then. */
export async function joinTailnet(
  runtime: Runtime,
  flags: ExecFlags,
  { after }: JoinDependencies = { after: (ms) => AbortSignal.timeout(ms) },
): Promise<Joined> {
  const settings = await readJoinSettings(runtime, flags);
  const { timeoutMs = defaultTimeoutMs } = flags;
  const words = createWords(runtime, flags.quiet === true);
  const startedMs = runtime.now().getTime();
  words.say(`Joining the tailnet as ${settings.hostname} ...`);
  const { node, directory, leave } = await startNode(runtime, settings);
  const deadline = after(timeoutMs);
  try {
    const signal = AbortSignal.any([runtime.signal, deadline]);
    await whenReady(node, signal, (line) => words.say(line));
    await checkServer(node, settings, { signal, giveUp: AbortSignal.any([signal, after(serverWithinMs)]) });
    const { url } = await node.proxy(signal);
    const name = printable(node.state.dnsName, 253) || settings.hostname;
    words.say(`Joined as ${name} in ${((runtime.now().getTime() - startedMs) / 1000).toFixed(1)} s.`);
    const env = {
      ...proxyVariables(url, runtime.env),
      // No tailscaled of this machine has a say: it may be on another tailnet, with other machines of the same names.
      TKA_TAILSCALE_SOCKET: join(directory, 'no-tailscaled'),
      ...(settings.isDefaultServer ? { TKA_SERVER: settings.server } : {}),
    };
    return {
      runtime: withEnvironment(runtime, { ...withoutKeys(runtime.env), ...env }),
      env,
      [Symbol.asyncDispose]: async () => {
        if (await leave()) words.say('Left the tailnet.');
      },
    };
  } catch (error) {
    const { state } = node;
    await leave();
    runtime.signal.throwIfAborted();
    throw deadline.aborted ? tooLate(state, settings, timeoutMs) : await explain(error);
  }
}

interface StartedNode {
  readonly node: TailnetNode;
  /** Private, with the node's keys. */
  readonly directory: string;
  /** Whether it had not left already. */
  readonly leave: () => Promise<boolean>;
}

async function startNode({ env, stderr }: Runtime, settings: JoinSettings): Promise<StartedNode> {
  const { createNode } = await import('../../node/tsnet/index.ts');
  const parent = env['TMPDIR'] !== undefined && isAbsolute(env['TMPDIR']) ? env['TMPDIR'] : tmpdir();
  const directory = mkdtempSync(join(parent, 'tka-join-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const { authKey, hostname, tags, controlUrl } = settings;
  try {
    const node = createNode(
      {
        hostname,
        stateDir: join(directory, 'state'),
        join: { authKey },
        tags,
        ephemeral: true,
        capabilities: [],
        ...(controlUrl === undefined ? {} : { controlUrl }),
        log: (level, message) => {
          if (env['TKA_DEBUG'] === '1') stderr.write(`engine ${level}: ${printable(message)}\n`);
        },
      },
      env,
    );
    let left: Promise<void> | undefined;
    return {
      node,
      directory,
      leave: async () => {
        const isFirst = left === undefined;
        left ??= node.close().finally(remove);
        await left;
        return isFirst;
      },
    };
  } catch (error) {
    remove();
    throw await explain(error);
  }
}

interface Waits {
  readonly signal: AbortSignal;
  /** Aborts when waiting longer is useless. */
  readonly giveUp: AbortSignal;
}

/** Reports what it waits for. Fails if a person would have to approve the node on a web page. */
async function whenReady(node: TailnetNode, signal: AbortSignal, say: (line: string) => void): Promise<void> {
  const needsPerson = new AbortController();
  let said = '';
  const observe = ({ status, authUrl, reason = '' }: NodeState): void => {
    if (authUrl !== undefined) {
      const message = `the control server rejected the auth key: ${printable(reason)}`;
      needsPerson.abort(new UserError(message, adviceOnKeys, exitCodes.denied));
    } else if (reason !== said && status !== 'Running' && status !== 'Failed') {
      say(`Waiting: ${printable(reason)}`);
      said = reason;
    }
  };
  node.on('state', observe);
  try {
    await node.whenReady(AbortSignal.any([signal, needsPerson.signal]));
  } catch (error) {
    needsPerson.signal.throwIfAborted();
    throw error;
  } finally {
    node.off('state', observe);
  }
}

/** A tka server is a node of the tailnet that is joined; no DNS elsewhere has a say in who it is. */
async function checkServer(node: TailnetNode, settings: JoinSettings, waits: Waits): Promise<void> {
  const { server, isDefaultServer } = settings;
  if (isThisMachine(server)) return;
  const host = new URL(server).hostname.replaceAll(/[[\]]/g, '');
  const peer = await findPeer(node, host, waits);
  if (peer.refusal === 'unknown') {
    throw new UnreachableError(`no machine of the joined tailnet has the name ${host}`, [
      'Name the server with --server, TKA_SERVER or the configuration file.',
      `If it is there, the tailnet's policy does not let ${describeSelf(settings)} see it.`,
    ]);
  }
  // Any machine of a tailnet may call itself so while the name is free, another job's runner with its own tag too; the tags of
  // tka are for its admins to give.
  if (isDefaultServer && !peer.tags.some((tag) => tag.startsWith('tag:tka'))) {
    throw new UserError(
      `the machine ${printable(peer.nodeName)} has no tag of a tka server (tag:tka*)`,
      [`To trust it, run: tka login --server ${server}`],
      exitCodes.denied,
    );
  }
}

/** Asks again whenever peers have changed, for a while. */
async function findPeer(node: TailnetNode, host: string, { signal, giveUp }: Waits): Promise<Identity> {
  for (;;) {
    // Listens before it asks, so that no change falls in between.
    const changed = Promise.withResolvers<void>();
    node.on('peers', changed.resolve);
    giveUp.addEventListener('abort', () => changed.resolve(), { once: true });
    try {
      const peer = await node.findPeer(host, signal);
      if (peer.refusal !== 'unknown' || giveUp.aborted) return peer;
      await changed.promise;
    } finally {
      node.off('peers', changed.resolve);
    }
  }
}

/** In either case, because programs differ in which one they read first. */
function proxyVariables(url: string, env: Runtime['env']): Record<string, string> {
  const own = [env['no_proxy'], env['NO_PROXY']].flatMap((text) => (text ?? '').split(/[,\s]+/));
  const direct = [...new Set(['localhost', '127.0.0.1', '::1', ...own])].filter((host) => host !== '').join(',');
  return {
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    NO_PROXY: direct,
    http_proxy: url,
    https_proxy: url,
    no_proxy: direct,
  };
}

function withoutKeys(env: Runtime['env']): Record<string, string | undefined> {
  // Left out, not undefined: a child must not even see the names.
  return Object.fromEntries(Object.entries(env).filter(([name]) => !keyVariables.some((key) => key === name)));
}

/** The streams of a runtime are made when first touched, so it is copied without touching them. */
function withEnvironment(runtime: Runtime, env: Runtime['env']): Runtime {
  const descriptors = { ...Object.getOwnPropertyDescriptors(runtime), env: { value: env, enumerable: true } };
  // The same properties but one.
  return Object.create(Object.getPrototypeOf(runtime) as object, descriptors) as Runtime;
}

function tooLate(state: NodeState, settings: JoinSettings, timeoutMs: number): UserError {
  const reason = state.reason === undefined ? '' : `: ${printable(state.reason)}`;
  const message = `${describeSelf(settings)} was not on the tailnet within ${Math.ceil(timeoutMs / 1000)} s${reason}`;
  if (state.status === 'NeedsLogin') {
    return new UserError(message, adviceOnKeys, exitCodes.denied);
  }
  return new UnreachableError(message, [
    `Can this machine reach ${settings.controlUrl ?? "Tailscale's control server"}? It may need HTTPS_PROXY or SSL_CERT_FILE.`,
    'Allow more time with --timeout 2m.',
  ]);
}

function describeSelf({ hostname, tags }: JoinSettings): string {
  return tags.length === 0 ? hostname : `${hostname} (${tags.join(', ')})`;
}

async function explain(error: unknown): Promise<unknown> {
  const { EngineGoneError, EngineNotFoundError, JoinError, JoinRefusedError, ProtocolMismatchError } =
    await import('../../node/tsnet/index.ts');
  if (!(error instanceof Error) || error instanceof UserError) return error;
  const message = printable(error.message);
  if (error instanceof JoinRefusedError) {
    return new UserError(message, adviceOnKeys, exitCodes.denied, error);
  }
  if (error instanceof EngineNotFoundError || error instanceof ProtocolMismatchError) {
    const advice = ['The engine comes with tka; TKA_ENGINE names another.'];
    return new UserError(`the engine that joins a tailnet cannot be used: ${message}`, advice, 1, error);
  }
  if (error instanceof JoinError) return new UserError(message, ['TKA_DEBUG=1 shows more.'], 1, error);
  if (error instanceof EngineGoneError) {
    return new UnreachableError(
      `the connection to the tailnet broke: ${message}`,
      ['Try again. TKA_DEBUG=1 shows more.'],
      error,
    );
  }
  return error;
}
