/**
 * Puts a session where kubectl finds it: entries in a kubeconfig, which run `tka credential`, and the token in the cache; or,
 * with --inline-token, the token in the entries.
 */
import type { Mode } from '../../node/http/contract.ts';
import { endGraceMs } from '../api/clock-skew.ts';
import { isProxyToken } from '../api/token.ts';
import type { ClusterAccess } from '../kubeconfig/cluster-access.ts';
import { writeCredential, writePeriod, writeUntil } from '../credential/cache.ts';
import { UserError, usageError } from '../errors.ts';
import { execEntry } from '../credential/exec-plugin.ts';
import type { ContextFlags, LoginRequestFlags } from '../flags.ts';
import type { KubectlAddress } from '../kubeconfig/kubectl-address.ts';
import type { Fields, MergeResult, OwnEntries } from '../kubeconfig/entries.ts';
import type { KubeconfigDocument } from '../kubeconfig/entry.ts';
import type { OpenedSession } from './open-session.ts';
import { kubectlProxyFor } from '../api/proxy.ts';
import type { Runtime } from '../runtime.ts';
import type { SameServer } from '../trust/same-server.ts';
import { accessExpiry } from '../credential/fetch-access.ts';
import { slug } from '../kubeconfig/slug.ts';

export interface ContextOptions {
  readonly server: string;
  /** The proxy that led to the server, without its password. */
  readonly proxy: string | undefined;
  /** Whether this machine has a way of its own to a URL, past its proxy settings. */
  readonly goesDirect: (url: string) => boolean;
  /** The same cluster by what kubectl resolves on this machine. */
  readonly addressFor: (url: string) => Promise<KubectlAddress>;
  readonly opened: OpenedSession;
  readonly isSame: SameServer;
  readonly flags: Pick<LoginRequestFlags, 'namespace' | 'insecureSkipTlsVerify'> & ContextFlags;
  /** `contextName` of the settings, for where no flag says. */
  readonly contextName?: string | undefined;
  readonly warn: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Throws what `writeContext` would for a kubeconfig that cannot be read, locked or written: before a session is opened that kubectl
 * could not use.
 */
export async function checkContext(
  runtime: Runtime,
  { server, isSame, flags, warn, signal }: Pick<ContextOptions, 'server' | 'isSame' | 'flags' | 'warn' | 'signal'>,
): Promise<void> {
  const [{ checkKubeconfig, kubeconfigPaths }, { ownContexts }] = await Promise.all([
    import('../kubeconfig/file.ts'),
    import('../kubeconfig/entries.ts'),
  ]);
  const paths = kubeconfigPaths(runtime.env, flags.kubeconfig);
  const isChanged = (file: KubeconfigDocument): boolean =>
    ownContexts([file]).some((own) => isSame(own.server, server));
  await checkKubeconfig(paths, isChanged, { signal, onWait: warn });
}

export async function writeContext(runtime: Runtime, target: ContextOptions): Promise<MergeResult> {
  const { server, opened, flags, warn } = target;
  checkTls(opened.access, flags, server);
  const merged = await merge(runtime, target).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    const advice = `Session ${opened.session} is still active on the server. Re-run tka login after fixing this, or: tka logout --session ${opened.session}`;
    throw new UserError(error.message, [...error.advice, advice], error.exitCode, error);
  });
  if (flags.inlineToken !== true && !storeCredential(runtime.env, target)) {
    warn(
      'the cache directory cannot be written, or others can write to it, so kubectl will ask the server each time it runs',
    );
  }
  if (flags.inlineToken !== true && modeOf(opened) === 'direct') {
    const { warningOfOldKubectl } = await import('../kubeconfig/kubectl-version.ts');
    const warning = await warningOfOldKubectl(runtime);
    if (warning !== undefined) warn(warning);
  }
  storeEnd(runtime.env, { server, opened, now: runtime.now() });
  return merged;
}

/** Where the server asks for no verification, the user must have, too. */
export function checkTls(
  access: ClusterAccess,
  flags: Pick<LoginRequestFlags, 'insecureSkipTlsVerify'>,
  server: string,
): void {
  if (!access.insecureSkipTlsVerify || flags.insecureSkipTlsVerify === true || access.ca !== undefined) return;
  throw new UserError(`${server} disables TLS verification for ${access.url}`, [
    'Nothing was written. To accept this: --insecure-skip-tls-verify',
  ]);
}

/** Carries the role, so that two sessions at one cluster can be told apart. */
export const defaultContextName = 'tka-{cluster}-{role}';

/** Throws a usage error where no context could have such a name. */
export function checkContextName(template: string | undefined): void {
  if (template === undefined) return;
  const unknown = /\{(?!(?:cluster|role|namespace|session)\})[^}]*\}?/.exec(template);
  const rest = template.replaceAll(/\{(?:cluster|role|namespace|session)\}/g, '');
  if (unknown === null && template !== '' && /^[a-zA-Z0-9._@-]{0,63}$/.test(rest)) return;
  const what = unknown === null ? JSON.stringify(template) : `${unknown[0]} in ${JSON.stringify(template)}`;
  throw usageError(`--context-name: ${what} is not understood`, [
    'It has letters, digits and ._@- around {cluster}, {role}, {namespace} and {session}, for example {cluster}-{role}.',
  ]);
}

/** `[a-zA-Z0-9._@-]{1,63}`, and `[a-z0-9.-]{1,63}` of the default template, whatever the server calls its things. */
export function contextNameFrom(
  template: string,
  { cluster, role, session, namespace }: Pick<OpenedSession, 'cluster' | 'role' | 'session'> & { namespace?: string },
): string {
  const values: Readonly<Record<string, string>> = { cluster, role, session, namespace: namespace ?? 'default' };
  if (template === defaultContextName) return defaultName(cluster, role);
  const name = template.replaceAll(/\{(\w+)\}/g, (_, key: string) =>
    (values[key] ?? '').replaceAll(/[^a-zA-Z0-9._-]+/g, '-'),
  );
  // A role may be called --help; as a word of kubectl's, a context may not.
  return name.replace(/^-+/, '').slice(0, 63) || 'tka';
}

/** The role whole, as far as that goes: it is what names differ by. A cluster may have our prefix in its name already. */
function defaultName(cluster: string, role: string): string {
  const end = slug(role).slice(0, 40);
  const start = slug(`tka-${cluster.replace(/^tka-/, '')}`).slice(0, 63 - 1 - end.length);
  return slug(`${start}-${end}`);
}

/** For where other entries have the name: with what tells this session from others at the cluster, then numbered. */
export function otherNames(name: string, { role, namespaces }: Pick<OpenedSession, 'role' | 'namespaces'>): string[] {
  const withRole = name.includes(slug(role)) ? [] : [role];
  const scope = namespaces === undefined ? [] : [[...withRole, ...namespaces].join('-')];
  const cut = (end: string): string => `${name.slice(0, 63 - 1 - end.length)}-${end}`;
  const named = [...withRole, ...scope].map((end) =>
    cut(
      slug(end)
        .slice(0, 30)
        .replace(/[.-]+$/, ''),
    ),
  );
  return [...named, ...Array.from({ length: 8 }, (_, i) => cut(String(i + 2)))];
}

async function merge(runtime: Runtime, target: ContextOptions): Promise<MergeResult> {
  const [{ editKubeconfig, kubeconfigPaths }, { mergeEntries, ownEntries }] = await Promise.all([
    import('../kubeconfig/file.ts'),
    import('../kubeconfig/entries.ts'),
  ]);
  const { server, opened, isSame, flags, signal } = target;
  const namespace = flags.namespace ?? opened.access.namespace;
  const template = flags.contextName ?? target.contextName;
  const name = contextNameFrom(template ?? defaultContextName, {
    ...opened,
    ...(namespace === undefined ? {} : { namespace }),
  });
  const entries = {
    marker: { server, session: opened.session },
    isSame,
    name,
    otherNames: otherNames(name, opened),
    cluster: await clusterFields(runtime, target),
    user: userFields(runtime, target),
    ...(namespace === undefined ? {} : { namespace }),
    use: flags.use === true,
    byHand: { name: flags.contextName !== undefined, namespace: flags.namespace !== undefined },
  };
  return editKubeconfig(
    kubeconfigPaths(runtime.env, flags.kubeconfig),
    ({ files, destination }) => {
      const before = ownEntries(files, entries.marker, isSame);
      return mergeEntries(files, destination, { ...entries, cluster: { ...staleProxy(before), ...entries.cluster } });
    },
    { signal, create: true, onWait: target.warn },
  );
}

async function clusterFields(
  runtime: Runtime,
  { opened, flags, goesDirect, addressFor, warn }: ContextOptions,
): Promise<Fields> {
  const { access } = opened;
  const address = await addressFor(access.url);
  const proxy = await kubectlProxyFor(address.url, runtime.env, goesDirect(address.url));
  if (proxy.warning !== undefined) warn(proxy.warning);
  const insecure = flags.insecureSkipTlsVerify === true && access.insecureSkipTlsVerify;
  return {
    server: address.url,
    'tls-server-name': address.serverName,
    'certificate-authority-data': access.ca === undefined ? undefined : Buffer.from(access.ca).toString('base64'),
    // client-go refuses an entry with a CA that also skips verification.
    'insecure-skip-tls-verify': insecure && access.ca === undefined ? true : undefined,
    ...(proxy.url === undefined ? {} : { 'proxy-url': proxy.url }),
  };
}

/** Removes the `proxy-url` of an earlier login; one that the user set stays. */
function staleProxy(before: OwnEntries | undefined): Fields {
  const { proxyUrl, loginsProxyUrl } = before ?? {};
  return proxyUrl !== undefined && proxyUrl === loginsProxyUrl ? { 'proxy-url': undefined } : {};
}

function userFields(runtime: Runtime, { server, proxy, opened, flags }: ContextOptions): Fields {
  if (flags.inlineToken === true) return { exec: undefined, token: opened.access.token };
  const { session, mode } = opened;
  return { exec: execEntry(runtime, { server, session, mode, proxy }), token: undefined };
}

/** False where the cache cannot be written. */
export function storeCredential(
  env: Runtime['env'],
  { server, opened }: Pick<ContextOptions, 'server' | 'opened'>,
): boolean {
  const { session, access, until, skewMs } = opened;
  // kubectl compares it with this machine's clock. Where that is ahead the token is only fetched early, and may be set right.
  const expiresAt = new Date(accessExpiry(access, until).getTime() - Math.max(0, skewMs));
  return writeCredential(env, {
    server,
    session,
    token: access.token,
    expiresAt: expiresAt.toISOString(),
    until: until.toISOString(),
  });
}

/** For prompts, which compare it with this machine's clock. */
export function storeEnd(
  env: Runtime['env'],
  { server, opened, now }: Pick<ContextOptions, 'server' | 'opened'> & { readonly now: Date },
): void {
  const { session, until, skewMs, role, cluster } = opened;
  const leftMs = until.getTime() - skewMs - now.getTime() - endGraceMs;
  // To the minute: the answer took its time.
  if (leftMs > 0) writePeriod(env, { server, session }, Math.ceil(leftMs / 60_000) * 60_000);
  writeUntil(env, { server, session }, { until: new Date(until.getTime() - skewMs), role, cluster });
}

/** What the token says of a mode that was not asked for. */
export function modeOf({ mode, access }: Pick<OpenedSession, 'mode' | 'access'>): Mode {
  return mode ?? (isProxyToken(access.token) ? 'proxy' : 'direct');
}
