/**
 * `tka login`: opens a session and makes kubectl able to use it.
 *
 * The kubeconfig entry runs `tka credential`, and the token goes to the cache; with --inline-token it goes into the entry. On
 * stdout: the context's name where nobody watches, or everything as JSON; a person reads stderr.
 */
import type { LoginRequest, Mode } from '../../node/http/contract.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { connect } from '../connect.ts';
import { writeCredential } from '../credential-cache.ts';
import { UserError, usageError } from '../errors.ts';
import { execEntry } from '../exec-plugin.ts';
import type { Fields, MergeResult } from '../kubeconfig-entries.ts';
import { accessExpiry, openSession, type UsableSession } from '../login.ts';
import { createWords, formatRemaining, isInteractive, type Words } from '../output.ts';
import { kubectlProxyFor } from '../proxy.ts';
import type { Runtime } from '../runtime.ts';

export interface LoginFlags {
  readonly server?: string;
  readonly role?: string;
  readonly period?: string;
  readonly mode?: Mode;
  readonly kubeconfig?: string;
  readonly use?: boolean;
  readonly inlineToken?: boolean;
  readonly insecureSkipTlsVerify?: boolean;
  readonly nonInteractive?: boolean;
  readonly output?: 'json';
  readonly timeoutMs: number;
  readonly quiet?: boolean;
}

export async function login(runtime: Runtime, flags: LoginFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const request = await readRequest(flags);
  const connection = await connect(runtime, flags.server);
  try {
    const { server, api, proxy } = connection;
    const { signal } = runtime;
    const interactive = isInteractive(runtime, flags.nonInteractive);
    if (interactive) words.say(`Logging in at ${server} …`);
    const session = await openSession({
      api,
      server,
      request,
      mode: flags.mode,
      timeoutMs: flags.timeoutMs,
      signal,
      // The rest of the program, read while the server works.
      meanwhile: () =>
        Promise.all([
          import('../cluster-access.ts'),
          import('../kubeconfig-file.ts'),
          import('../kubeconfig-entries.ts'),
        ]),
    });
    checkTls(session.access, flags, server);
    const key = { server, session: session.session };
    const merged = await merge(runtime, flags, { key, session, words, proxy });
    if (flags.inlineToken !== true) keepCredential(runtime, { key, session, words });
    report(runtime, flags, { words, interactive, server, session, merged });
  } finally {
    connection.close();
  }
}

async function readRequest({ role, period }: LoginFlags): Promise<LoginRequest> {
  if (role === undefined && period === undefined) return {};
  const { loginRequestSchema, parseDurationMs } = await import('../../node/http/contract.ts');
  if (period !== undefined && parseDurationMs(period) === undefined) {
    throw usageError(`--period ${JSON.stringify(period)} is no duration`, ['It looks like 8h, 90m or 1h30m.']);
  }
  const request = loginRequestSchema.safeParse({ role, period });
  if (!request.success) throw usageError(`--role ${JSON.stringify(role)} is no name of a role`);
  return request.data;
}

function checkTls(access: ClusterAccess, flags: LoginFlags, server: string): void {
  if (!access.insecureSkipTlsVerify || flags.insecureSkipTlsVerify === true || access.ca !== undefined) return;
  throw new UserError(`${server} asks kubectl to trust any certificate of ${access.url}`, [
    'Nothing was written. If that is what you want: --insecure-skip-tls-verify',
  ]);
}

interface Kept {
  readonly key: { readonly server: string; readonly session: string };
  readonly session: UsableSession;
  readonly words: Words;
}

async function merge(
  runtime: Runtime,
  flags: LoginFlags,
  { key, session, words, proxy }: Kept & { readonly proxy: string | undefined },
): Promise<MergeResult> {
  const [{ editKubeconfig, kubeconfigPaths }, { mergeEntries }] = await Promise.all([
    import('../kubeconfig-file.ts'),
    import('../kubeconfig-entries.ts'),
  ]);
  const { access } = session;
  const kubectlProxy = await kubectlProxyFor(access.url, runtime.env);
  if (kubectlProxy.warning !== undefined) words.warn(kubectlProxy.warning);
  const insecure = flags.insecureSkipTlsVerify === true && access.insecureSkipTlsVerify;
  const cluster: Fields = {
    server: access.url,
    'certificate-authority-data': access.ca === undefined ? undefined : Buffer.from(access.ca).toString('base64'),
    // client-go refuses an entry with a CA that also skips verification.
    'insecure-skip-tls-verify': insecure && access.ca === undefined ? true : undefined,
    ...(kubectlProxy.url === undefined ? {} : { 'proxy-url': kubectlProxy.url }),
  };
  const exec = flags.inlineToken === true ? undefined : execEntry(runtime, { ...key, mode: flags.mode, proxy });
  const user: Fields = { exec, token: flags.inlineToken === true ? access.token : undefined };
  const { namespace } = access;
  return editKubeconfig(
    kubeconfigPaths(runtime.env, flags.kubeconfig),
    ({ files, destination }) =>
      mergeEntries(files, destination, {
        marker: key,
        name: access.name,
        cluster,
        user,
        ...(namespace === undefined ? {} : { namespace }),
        use: flags.use === true,
      }),
    { signal: runtime.signal, create: true },
  );
}

function keepCredential(runtime: Runtime, { key, session, words }: Kept): void {
  const { access, until } = session;
  const kept = writeCredential(runtime.env, {
    ...key,
    token: access.token,
    expiresAt: accessExpiry(access, until).toISOString(),
    until: until.toISOString(),
  });
  if (!kept) words.warn('the cache directory cannot be written, so kubectl will ask the server each time it runs');
}

interface Outcome {
  readonly words: Words;
  readonly interactive: boolean;
  readonly server: string;
  readonly session: UsableSession;
  readonly merged: MergeResult;
}

function report(runtime: Runtime, flags: LoginFlags, { words, interactive, server, session, merged }: Outcome): void {
  const { access, until, ...identity } = session;
  const scope = identity.namespaces === undefined ? '' : ` in ${identity.namespaces.join(', ')}`;
  const remaining = formatRemaining(until.getTime() - runtime.now().getTime());
  words.say(`Logged in as ${identity.username}, role ${identity.role}${scope}, for ${remaining}.`);
  const use = merged.current ? 'kubectl uses it now.' : `Use it: kubectl --context ${merged.context} …`;
  words.say(`Context ${merged.context} is in ${merged.path}. ${use}`);
  if (flags.output === 'json') {
    const { context, current, path } = merged;
    const whole = {
      ...identity,
      until: until.toISOString(),
      server,
      cluster: access.url,
      context,
      current,
      kubeconfig: path,
    };
    runtime.stdout.write(`${JSON.stringify(whole, undefined, 2)}\n`);
  } else if (!interactive) {
    runtime.stdout.write(`${merged.context}\n`);
  }
}
