package main

// Callers of a former engine, greeted by this one. They still send into the WireGuard session they had with that one,
// to the UDP port it had, or have tried a new one before this engine knew of them and wait to try again; either takes them
// several seconds to give up. A handshake from this side ends that.

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/tailcfg"
)

const (
	// The client sends one handshake in five seconds, and one that is answered to where this node cannot be reached yet
	// is lost. Peers learn its relay and addresses a while after it has their netmap (headscale: about 2 s).
	greetAfter  = 2500 * time.Millisecond
	greetWithin = 10 * time.Second
)

// greetCallers returns when each caller has answered or been given up.
func greetCallers(ctx context.Context, client *local.Client, callers []string) {
	if len(callers) == 0 || !pause(ctx, greetAfter) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, greetWithin)
	defer cancel()
	var greeting sync.WaitGroup
	for _, caller := range callers {
		address, err := netip.ParseAddr(caller)
		if err != nil {
			continue
		}
		// Through the tunnel, so there will be one; whoever has gone away does not answer.
		greeting.Go(func() { _, _ = client.Ping(ctx, address, tailcfg.PingTSMP) })
	}
	greeting.Wait()
}
