/**
 * A caller's lasting identity, the subject, and their name for display, the username.
 *
 * The subject contains only what the control server numbers itself, prefixed with the control server's name: a login name can change
 * owners, `alice@a.example` is not `alice@b.example`, and every headscale counts from 1. Users and tagged nodes are numbered
 * separately. The username decides nothing.
 */
import type { Identity } from './identity.ts';

const tailscaleControlHost = 'controlplane.tailscale.com';
const maxUsernameLength = 253;

/** The name of a control server in a subject; no URL means Tailscale's own. */
export function controlHost(controlUrl: string | undefined): string {
  if (controlUrl === undefined || controlUrl === '') return tailscaleControlHost;
  const { host } = new URL(controlUrl);
  // The two names of Tailscale's control server: the client treats them as one, so their users are the same people.
  return host === 'login.tailscale.com' ? tailscaleControlHost : host;
}

/** Undefined for a node that is neither a user's nor tagged: it cannot be named, so it must be refused. */
export function subjectOf(identity: Identity, host: string): string | undefined {
  if (identity.tags.length > 0) return identity.nodeId === '' ? undefined : `${host}|node:${identity.nodeId}`;
  const id = identity.user?.id;
  return id === undefined || id === '' ? undefined : `${host}|user:${id}`;
}

export function usernameOf(identity: Identity): string {
  const name = identity.tags.length > 0 ? identity.nodeName : (identity.user?.loginName ?? identity.nodeName);
  return printable(name, maxUsernameLength) || 'unknown';
}

/** Without control and format characters (bidirectional overrides among them, and halves of surrogate pairs), cut to a length. */
export function printable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replaceAll(/[\p{C}\u2028\u2029]/gu, '');
}
