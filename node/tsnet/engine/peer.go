package main

// Peers by name, as the netmap has them: what the client itself would dial for a name.

import (
	"context"
	"net/netip"
	"strings"

	"tailscale.com/ipn/ipnstate"
)

// findPeer says who is behind a MagicDNS name, short or full, or an address.
func (t *tailnet) findPeer(ctx context.Context, name string) identity {
	address, err := netip.ParseAddr(name)
	if err != nil {
		ctx, cancel := context.WithTimeout(ctx, whoIsTimeout)
		defer cancel()
		status, err := t.local.Status(ctx)
		if err != nil {
			return unknownIdentity()
		}
		address = addressOf(status, name)
	}
	return t.identify(ctx, netip.AddrPortFrom(address.Unmap(), 0))
}

// addressOf is the zero value for a name that no peer has.
func addressOf(status *ipnstate.Status, name string) netip.Addr {
	wanted := strings.ToLower(strings.TrimSuffix(name, "."))
	suffix := ""
	if status.CurrentTailnet != nil {
		suffix = strings.ToLower(strings.Trim(status.CurrentTailnet.MagicDNSSuffix, "."))
	}
	for _, peer := range status.Peer {
		full := strings.ToLower(strings.TrimSuffix(peer.DNSName, "."))
		short, isOurs := strings.CutSuffix(full, "."+suffix)
		if full != "" && len(peer.TailscaleIPs) > 0 && (wanted == full || (isOurs && wanted == short)) {
			return peer.TailscaleIPs[0]
		}
	}
	return netip.Addr{}
}
