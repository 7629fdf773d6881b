package main

// New handshakes with the callers of a former engine; after a first start, with peers that are online. They still send into the WireGuard session they had with that one, to
// the UDP port it had, or have tried a new one before this engine knew of them and wait to try again; either takes them
// up to nine seconds to give up. A handshake from this side ends that, once they can answer it: peers learn this node's
// relay and addresses a while after it has their netmap (headscale: one to three seconds), and an answer before that is
// lost. WireGuard tries again only after five seconds, so each try begins with a forgotten session.

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

const (
	// Each try is given half as long again as the one before, so that distant callers are reached too.
	firstGreeting     = 700 * time.Millisecond
	rehandshakeWithin = 15 * time.Second
	maxGreeted        = 64
)

// sessions forgets WireGuard sessions, working or not.
type sessions interface{ ResetDevicePeer(key.NodePublic) }

// rehandshake returns when each caller has answered or been given up; reached is told of those that have answered.
func rehandshake(ctx context.Context, client *local.Client, known sessions, callers []string, reached func(netip.Addr)) {
	ctx, cancel := context.WithTimeout(ctx, rehandshakeWithin)
	defer cancel()
	if len(callers) == 0 {
		callers = online(ctx, client)
	}
	var handshakes sync.WaitGroup
	for _, caller := range callers {
		if address, err := netip.ParseAddr(caller); err == nil {
			handshakes.Go(func() {
				if rehandshakeOne(ctx, client, known, address) {
					reached(address)
				}
			})
		}
	}
	handshakes.Wait()
}

// online names peers by an address each, no more than are remembered as callers.
func online(ctx context.Context, client *local.Client) (addresses []string) {
	status, err := client.Status(ctx)
	if err != nil {
		return nil
	}
	for _, peer := range status.Peer {
		if peer.Online && len(peer.TailscaleIPs) > 0 && len(addresses) < maxGreeted {
			addresses = append(addresses, peer.TailscaleIPs[0].String())
		}
	}
	return addresses
}

// rehandshakeOne reports whether the caller has answered.
func rehandshakeOne(ctx context.Context, client *local.Client, known sessions, caller netip.Addr) bool {
	for patience := firstGreeting; ctx.Err() == nil; patience += patience / 2 {
		try, cancel := context.WithTimeout(ctx, patience)
		answer, err := client.Ping(try, caller, tailcfg.PingTSMP) // goes through the tunnel, so there will be one
		if err == nil && answer.Err == "" {
			cancel()
			return true
		}
		<-try.Done() // a refusal at once is no reason to hurry
		cancel()
		who, err := client.WhoIs(ctx, caller.String())
		if err != nil || who.Node == nil {
			return false // it has left the tailnet
		}
		known.ResetDevicePeer(who.Node.Key)
	}
	return false
}
