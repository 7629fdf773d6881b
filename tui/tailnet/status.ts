/**
 * What tailscaled's status says, as far as the command needs it, or why it says nothing. Read without a schema, because the
 * library would cost a scripted login more than all its requests; invalid parts are left out, never guessed.
 */
import { isIP } from 'node:net';
import { fieldsOf } from '../files/json.ts';
import { printable } from '../terminal/output.ts';
import { type Peer, type Tailnet, TailnetError } from './types.ts';

/** Throws TailnetError where this machine is not on its tailnet. `prefs`: what it is set to, which it need not tell. */
export function readStatus(status: unknown, prefs?: unknown): Tailnet {
  const {
    BackendState: state,
    HaveNodeKey: hasKey,
    Self,
    Peer: peers,
    CurrentTailnet,
    TUN: hasInterface,
  } = fieldsOf(status);
  if (state !== 'Running') throw notRunning(state, hasKey === true);
  const { MagicDNSSuffix, MagicDNSEnabled } = fieldsOf(CurrentTailnet);
  const suffix = dnsName(MagicDNSSuffix);
  const self = readNode(Self, suffix);
  if (self === undefined) throw notRunning('Starting', true);
  const userspace = hasInterface !== true;
  return {
    self: { ...self, online: self.expired !== true },
    peers: Object.values(fieldsOf(peers)).flatMap((peer) => readNode(peer, suffix) ?? []),
    // `tailscale up --accept-dns=false` is told by the settings alone.
    namesResolve: MagicDNSEnabled === true && !userspace && fieldsOf(prefs)['CorpDNS'] !== false,
    ...(userspace ? { userspace } : {}),
    suffix,
    ...controlIn(prefs),
  };
}

function controlIn(prefs: unknown): { readonly control?: string } {
  const { ControlURL } = fieldsOf(prefs);
  const url = typeof ControlURL === 'string' ? URL.parse(ControlURL) : null;
  return url === null || url.host === '' ? {} : { control: url.host };
}

function readNode(node: unknown, suffix: string): Peer | undefined {
  const { ID, DNSName, HostName, TailscaleIPs, Tags, Online, Expired, ShareeNode, AltSharerUserID } = fieldsOf(node);
  // Nodes of users with whom one of our nodes is shared: they may reach us, but are not peers of this tailnet.
  if (typeof ID !== 'string' || !/^[\w.:-]{1,64}$/.test(ID) || ShareeNode === true) return undefined;
  const name = dnsName(DNSName);
  const foreign = suffix !== '' && name !== '' && !name.endsWith(`.${suffix}`);
  const isShared = foreign || (AltSharerUserID !== undefined && AltSharerUserID !== 0);
  return {
    id: ID,
    name,
    hostName: typeof HostName === 'string' ? printable(HostName, 63) : '',
    addresses: strings(TailscaleIPs).filter((address) => isIP(address) !== 0),
    tags: isShared ? [] : strings(Tags).filter((tag) => /^tag:[\w-]{1,128}$/.test(tag)),
    online: Online === true && Expired !== true,
    ...(Expired === true ? { expired: true } : {}),
    ...(isShared ? { shared: true } : {}),
  };
}

function notRunning(state: unknown, hasKey: boolean): TailnetError {
  const up = 'Join it: tailscale up';
  if (state === 'NeedsLogin' || (state === 'NoState' && !hasKey)) {
    return new TailnetError('logged-out', 'this machine is logged out of its tailnet', [up]);
  }
  if (state === 'NeedsMachineAuth') {
    const advice = ["Ask a tailnet admin to approve it in the control server's list of machines."];
    return new TailnetError('logged-out', 'this machine waits for approval to join its tailnet', advice);
  }
  if (state === 'Stopped')
    return new TailnetError('stopped', 'Tailscale is stopped on this machine', ['Start it: tailscale up']);
  if (state === 'InUseOtherUser') {
    const advice = ['That user has to disconnect first.'];
    return new TailnetError('forbidden', 'Tailscale is in use by another user of this machine', advice);
  }
  if (state === 'Starting' || state === 'NoState') {
    const advice = ['Try again in a moment. If it stays so: tailscale status'];
    return new TailnetError('starting', 'Tailscale is still starting on this machine', advice);
  }
  const advice = ['Run: tailscale status'];
  return new TailnetError('absent', 'tailscaled on this machine gave an unexpected answer', advice);
}

function dnsName(value: unknown): string {
  const name = typeof value === 'string' ? value.toLowerCase().replace(/\.$/, '') : '';
  return /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name) && name.length <= 253 ? name : '';
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
