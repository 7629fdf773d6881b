/**
 * The border where a server's kubeconfig stops: out comes a checked address, CA, token and names, and nothing else.
 *
 * A kubeconfig can run programs, read files and send traffic elsewhere, so the command never merges a server's. Every entry
 * is built from what this file returns.
 */
import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { isDnsLabel } from '../config/flag-values.ts';
import { UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import { slug } from './slug.ts';
import { isToken } from '../api/token.ts';

export interface ClusterAccess {
  /** `tka-` and what the server calls its cluster, `[a-z0-9.-]{1,63}`. */
  readonly name: string;
  /** https, without user, query or fragment. */
  readonly url: string;
  /** PEM of certificates alone; absent where the system's roots are to be trusted. */
  readonly ca?: string;
  /** The server asks for it; only the user may grant it. */
  readonly insecureSkipTlsVerify: boolean;
  readonly token: string;
  /** A namespace to begin in. */
  readonly namespace?: string;
}

/** Throws UserError if a server's kubeconfig is not a plain URL, CA and token. */
export function readClusterAccess(kubeconfig: unknown, server: string): ClusterAccess {
  const result = kubeconfigSchema.safeParse(kubeconfig);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw refuse(server, issue === undefined ? 'not understood' : `${issue.path.join('.')} ${issue.message}`);
  }
  const { clusters, contexts, users, 'current-context': current } = result.data;
  const context = contexts.find(({ name }) => name === current) ?? contexts[0];
  const cluster = clusters.find(({ name }) => name === context?.context.cluster)?.cluster;
  const user = users.find(({ name }) => name === context?.context.user)?.user;
  if (context === undefined || cluster === undefined || user === undefined)
    throw refuse(server, 'it has no complete context');
  if (!isToken(user.token)) throw refuse(server, 'its token is malformed');
  const ca = readCa(cluster['certificate-authority-data'], server);
  const { namespace } = context.context;
  return {
    name: slug(`tka-${context.context.cluster.replace(/^tka-/i, '')}`),
    url: readUrl(cluster.server, server),
    ...(ca === undefined ? {} : { ca }),
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    token: user.token,
    ...(namespace !== undefined && isDnsLabel(namespace) ? { namespace } : {}),
  };
}

const kubeconfigSchema = z.object({
  'current-context': z.string().optional(),
  clusters: z
    .array(
      z.object({
        name: z.string(),
        cluster: z.object({
          server: z.string().max(2048),
          'certificate-authority-data': z.string().optional(),
          'insecure-skip-tls-verify': z.boolean().optional(),
        }),
      }),
    )
    .max(16),
  users: z.array(z.object({ name: z.string(), user: z.object({ token: z.string() }) })).max(16),
  contexts: z
    .array(
      z.object({
        name: z.string(),
        context: z.object({ cluster: z.string(), user: z.string(), namespace: z.string().optional() }),
      }),
    )
    .max(16),
});

function readUrl(text: string, server: string): string {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'https:' || url.hostname === '') {
    throw refuse(server, `its cluster is at ${printable(text, 120)}, which is not an https address`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw refuse(server, "its cluster's address has a user, a query or a fragment");
  }
  return url.href.replace(/\/$/, '');
}

/** Only what parses as a certificate comes out, re-encoded. */
function readCa(base64: string | undefined, server: string): string | undefined {
  if (base64 === undefined || base64 === '') return undefined;
  const pem = Buffer.from(base64, 'base64').toString('latin1');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > 32) throw refuse(server, 'its CA is not a PEM certificate');
  try {
    return blocks.map((block) => new X509Certificate(block).toString()).join('');
  } catch {
    throw refuse(server, 'its CA is not a PEM certificate');
  }
}

function refuse(server: string, reason: string): UserError {
  return new UserError(`the kubeconfig of ${server} is not accepted: ${printable(reason, 200)}`, [
    'Nothing was written. Check the name of the server; if it is right, its administrator has to correct it.',
  ]);
}
